"""The images: what is in them, that it runs, and that the same programs make the same image."""

import hashlib
import io
import json
import os
import re
import struct
import subprocess
import tarfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from install.helm import workspace_version
from install.suite import Stage
from lab.lab import REPOSITORY, Missing
from lab.namespaces import command

BUILD = REPOSITORY / "deploy" / "images" / "build"
NAMES = sorted(file.parent.name for file in BUILD.parent.glob("*/Containerfile"))
USERS = {"operator": "65532:65532", "relay": "0:0", "speaker": "0:0"}
LICENCES = {"speaker": "Apache-2.0 AND GPL-2.0-or-later"}
# What else is in an image: BIRD as Debian has it, the loader and libraries that it needs, and their licences.
BESIDES = {"speaker": re.compile(r"usr/sbin/bird|lib(64)?/ld-linux-[^/]+|usr/lib/[^/]+/lib[^/]+\.so\.[0-9]+|"
                                 r"usr/share/doc/[^/]+/copyright|usr/share/common-licenses/[^/]+")}
GOLDEN = REPOSITORY / "relay" / "speaker" / "tests" / "golden"


def test_the_same_programs_make_the_same_image(stage: Stage):
    """built twice: the digests are equal"""
    one, other = (build(stage.folder / number) for number in ("one", "other"))
    assert one.keys() == other.keys() == set(NAMES)
    for name in NAMES:
        assert one[name].digest == other[name].digest, f"{name}: {one[name].digest} and {other[name].digest}"


def test_what_is_in_an_image(_stage: Stage):
    """one static program, BIRD beside the speaker, a bill of materials, whose it is, and no trace of the machine that built it"""
    for name in NAMES:
        image = Image(built(name))
        assert image.name == f"localhost/culvert-{name}:{workspace_version()}", image.name
        config = image.config["config"]
        assert config["User"] == USERS[name] and config["Entrypoint"] == [f"/culvert-{name}"], config
        labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
        assert (labels["title"], labels["version"]) == (f"culvert-{name}", workspace_version())
        assert labels["licenses"] == LICENCES.get(name, "Apache-2.0") and labels["description"] and len(labels["revision"]) == 40, labels
        assert labels["created"] == image.config["created"], (labels, image.config["created"])
        members = image.members()
        for member, _ in members.values():
            assert (member.uid, member.gid) == (0, 0) and member.mode & 0o7777 in (0o644, 0o755), member.get_info()
            made = datetime.fromtimestamp(member.mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            assert made == labels["created"] or member.isdir(), (member.name, made)
        member, content = members.pop(f"culvert-{name}")
        assert member.mode & 0o7777 == 0o755
        check_bill(name, image, json.loads(members.pop("sbom.spdx.json")[1]))
        others = [path for path, (member, _) in members.items() if member.isfile()]
        strange = [path for path in others if not (name in BESIDES and BESIDES[name].fullmatch(path))]
        assert not strange, f"{name}: {strange}"
        links = [path for path, (member, _) in members.items() if not member.isfile() and not member.isdir()]
        assert not links, f"{name}: {links}"
        assert not needs_an_interpreter(content), f"{name} is not static"
        for place in (REPOSITORY, Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))):
            assert str(place).encode() not in content, f"{name} names {place}"


def check_bill(name: str, image: "Image", bill: dict) -> None:
    """The crates that cargo says are linked, as the lock file has them; what else is linked, and what is beside it."""
    labels = image.config["config"]["Labels"]
    assert (bill["spdxVersion"], bill["creationInfo"]["created"]) == ("SPDX-2.3", image.config["created"])
    parts = {part["name"]: part for part in bill["packages"]}
    identities = {part["SPDXID"] for part in bill["packages"]}
    assert len(identities) == len(bill["packages"]), "an SPDXID is there twice"
    assert {one["relatedSpdxElement"] for one in bill["relationships"]} == identities
    assert parts.pop(f"culvert-{name}")["versionInfo"] == labels["org.opencontainers.image.version"]
    tree = command("cargo", "tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}",
                   "--package", f"culvert-{name}", folder=REPOSITORY)
    crates = {tuple(line.split()[:2]) for line in tree.splitlines()} - {(f"culvert-{name}", f"v{workspace_version()}")}
    listed = {(part["name"], f"v{part['versionInfo']}"): part for part in bill["packages"]
              if part["externalRefs"][0]["referenceLocator"].startswith("pkg:cargo/")}
    assert listed.keys() == crates, f"{name}: {listed.keys() ^ crates}"
    locked = {(one["name"], f"v{one['version']}"): one.get("checksum") for one in
              tomllib.loads((REPOSITORY / "Cargo.lock").read_text())["package"]}
    for crate, part in listed.items():
        assert [entry["checksumValue"] for entry in part.get("checksums", [])] == [locked[crate]] * bool(locked[crate]), part
        assert part["licenseDeclared"] != "NOASSERTION", part
    others = {part["name"] for part in bill["packages"]} - {crate for crate, _ in crates} - {f"culvert-{name}"}
    besides = {path.split("/")[3] for path in image.members() if re.fullmatch(r"usr/share/doc/[^/]+/copyright", path)}
    assert others == {"rust-std", "libc6-dev", *besides} and ("bird2" in others) == (name == "speaker"), others
    if name == "speaker":
        assert f"bird2 {parts['bird2']['versionInfo']}" == labels["dev.culvert.bird"], labels


def test_it_runs_alone(stage: Stage):
    """with nothing else in its root, as the user of the image, the program starts"""
    for name in NAMES:
        image = Image(built(name))
        root = image.unpack(stage.folder / name)
        user = image.config["config"]["User"]
        said = command("chroot", f"--userspec={user}", str(root), f"/culvert-{name}", "--version")
        assert said.split() == [f"culvert-{name}", workspace_version()], said


def test_bird_is_debians(stage: Stage):
    """the speaker's BIRD is the package's, byte by byte, runs in the image, and takes what the speaker writes"""
    image = Image(built("speaker"))
    package, version = image.config["config"]["Labels"]["dev.culvert.bird"].split()
    members = image.members()
    assert members["usr/sbin/bird"][1] == Path("/usr/sbin/bird").read_bytes()
    assert command("dpkg-query", "--show", "--showformat=${Version}", package) == version
    copyright = members[f"usr/share/doc/{package}/copyright"][1].decode()
    assert "GPL-2" in copyright and b"GNU GENERAL PUBLIC LICENSE" in members["usr/share/common-licenses/GPL-2"][1]
    root = image.unpack(stage.folder / "bird")
    for case in sorted(GOLDEN.glob("*/bird.conf")):
        (root / "bird.conf").write_bytes(case.read_bytes())
        command("chroot", str(root), "/usr/sbin/bird", "-p", "-c", "/bird.conf")


class Image:
    """An OCI archive with one image."""

    def __init__(self, archive: Path):
        with tarfile.open(archive) as tar:
            self.files = {member.name.removeprefix("./"): tar.extractfile(member).read() for member in tar if member.isfile()}
        [entry] = json.loads(self.files["index.json"])["manifests"]
        self.name = entry["annotations"]["org.opencontainers.image.ref.name"]
        self.digest = entry["digest"]
        self.manifest = json.loads(self.blob(self.digest))
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]))

    def blob(self, digest: str) -> bytes:
        content = self.files["blobs/" + digest.replace(":", "/")]
        assert hashlib.sha256(content).hexdigest() == digest.removeprefix("sha256:")
        return content

    def members(self) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
        """The files and folders of the layers, by path."""
        found = {}
        for layer in self.manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(self.blob(layer["digest"]))) as tar:
                for member in tar:
                    content = tar.extractfile(member).read() if member.isfile() else b""
                    found[member.name.strip("./")] = (member, content)
        return found

    def unpack(self, folder: Path) -> Path:
        """All of it in a folder with nothing else."""
        folder.mkdir()
        for path, (member, content) in self.members().items():
            place = folder / path
            if member.isfile():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
                place.chmod(member.mode & 0o7777)
        return folder


def build(folder: Path) -> dict[str, Image]:
    """All images, built anew from the programs that are there."""
    done = subprocess.run([BUILD], env=os.environ | {"CULVERT_IMAGES": str(folder)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {file.name.removesuffix(".oci.tar"): Image(file) for file in folder.glob("*.oci.tar")}


def built(name: str) -> Path:
    archive = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "images" / f"{name}.oci.tar"
    if not archive.exists():
        raise Missing(f"{archive} is missing: run `make images`")
    return archive


def needs_an_interpreter(elf: bytes) -> bool:
    """Whether an ELF file of 64 bits asks for a dynamic linker (PT_INTERP, 3)."""
    assert elf[:5] == b"\x7fELF\x02"
    (start,), (size, count) = struct.unpack_from("<Q", elf, 32), struct.unpack_from("<HH", elf, 54)
    return any(struct.unpack_from("<I", elf, start + number * size)[0] == 3 for number in range(count))
