"""Images without an engine: buildah makes OCI archives, each node's containerd imports them."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from lab.lab import Missing
from lab.namespaces import command

from .binaries import HERE, say
from .cache import CACHE, cached, key_of

PAUSE = "localhost/pause:1"
TOOLBOX = "localhost/toolbox:1"


def pause_program() -> Path:
    """The program that holds a pod's namespaces, and a node's."""
    source = HERE / "images" / "pause" / "pause.c"

    def make(folder: Path) -> None:
        command("gcc", "-Os", "-static", "-Wall", "-Wextra", "-Werror", "-o", str(folder / "pause"), str(source))

    return cached(CACHE / "bin" / f"pause-{key_of(source)}", make, say) / "pause"


def pause_image() -> Path:
    return build_image(PAUSE, HERE / "images" / "pause" / "Containerfile", pause_program())


def toolbox_image(kubectl: Path) -> Path:
    """A shell, BusyBox and kubectl, for tests."""
    busybox = Path(shutil.which("busybox") or "/bin/busybox").resolve()
    if "statically linked" not in linkage(busybox):
        raise Missing(f"{busybox} needs shared libraries: install busybox-static (scripts/install-tools cluster)")
    return build_image(TOOLBOX, HERE / "images" / "toolbox" / "Containerfile", busybox, kubectl)


def linkage(program: Path) -> str:
    """What ldd says of a program; it fails for static ones."""
    done = subprocess.run(["ldd", str(program)], capture_output=True, text=True)
    return "statically linked" if done.returncode != 0 else done.stdout


def build_image(name: str, containerfile: Path, *files: Path) -> Path:
    """An OCI archive of that name. The Containerfile finds the files beside it, by their own names."""

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="culvert-image-") as work:
            build_archive(name, containerfile, files, Path(work), folder / "image.oci")

    label = name.rsplit("/", 1)[-1].split(":")[0]
    return cached(CACHE / "images" / f"{label}-{key_of(name, containerfile, *files)}", make, say) / "image.oci"


def build_archive(name: str, containerfile: Path, files: tuple[Path, ...], work: Path, archive: Path) -> None:
    context = work / "context"
    context.mkdir()
    for file in files:
        shutil.copy2(file, context / file.name)
    storage = ["--storage-driver", "vfs", "--root", str(work / "root"), "--runroot", str(work / "run")]
    command(
        "buildah", *storage, "bud", "--isolation", "chroot", "--pull-never", "--tag", name, "--file",
        str(containerfile), str(context), timeout=600,
    )
    command("buildah", *storage, "push", name, f"oci-archive:{archive}:{name}", timeout=600)
