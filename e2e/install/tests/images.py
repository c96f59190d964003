"""The images: what is in them, that it runs, and that the same programs make the same image."""

import hashlib
import io
import json
import os
import struct
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path

from install.helm import workspace_version
from install.suite import Stage
from lab.lab import REPOSITORY, Missing
from lab.namespaces import command

BUILD = REPOSITORY / "deploy" / "images" / "build"
NAMES = sorted(file.parent.name for file in BUILD.parent.glob("*/Containerfile"))
USERS = {"operator": "65532:65532", "relay": "0:0"}


def test_the_same_programs_make_the_same_image(stage: Stage):
    """built twice: the digests are equal"""
    one, other = (build(stage.folder / number) for number in ("one", "other"))
    assert one.keys() == other.keys() == set(NAMES)
    for name in NAMES:
        assert one[name].digest == other[name].digest, f"{name}: {one[name].digest} and {other[name].digest}"


def test_what_is_in_an_image(_stage: Stage):
    """one static program, whose it is, and no trace of the machine that built it"""
    for name in NAMES:
        image = Image(built(name))
        assert image.name == f"localhost/culvert-{name}:{workspace_version()}", image.name
        config = image.config["config"]
        assert config["User"] == USERS[name] and config["Entrypoint"] == [f"/culvert-{name}"], config
        labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
        assert (labels["title"], labels["version"]) == (f"culvert-{name}", workspace_version())
        assert labels["licenses"] == "Apache-2.0" and labels["description"] and len(labels["revision"]) == 40, labels
        assert labels["created"] == image.config["created"], (labels, image.config["created"])
        member, content = image.member()
        assert {"name": f"culvert-{name}", "mode": 0o755, "uid": 0, "gid": 0}.items() <= member.get_info().items()
        assert datetime.fromtimestamp(member.mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") == labels["created"]
        assert not needs_an_interpreter(content), f"{name} is not static"
        for place in (REPOSITORY, Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))):
            assert str(place).encode() not in content, f"{name} names {place}"


def test_it_runs_alone(stage: Stage):
    """with nothing else in its root, as the user of the image, the program starts"""
    for name in NAMES:
        image = Image(built(name))
        program = image.unpack(stage.folder / name)
        user = image.config["config"]["User"]
        said = command("chroot", f"--userspec={user}", str(program.parent), f"/culvert-{name}", "--version")
        assert said.split() == [f"culvert-{name}", workspace_version()], said


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

    def member(self) -> tuple[tarfile.TarInfo, bytes]:
        """The only file of the only layer."""
        [layer] = self.manifest["layers"]
        with tarfile.open(fileobj=io.BytesIO(self.blob(layer["digest"]))) as tar:
            [member] = tar.getmembers()
            return member, tar.extractfile(member).read()

    def unpack(self, folder: Path) -> Path:
        """Its program in a folder with nothing else."""
        member, content = self.member()
        folder.mkdir()
        program = folder / member.name
        program.write_bytes(content)
        program.chmod(member.mode & 0o7777)
        return program


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
