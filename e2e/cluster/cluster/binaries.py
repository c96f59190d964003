"""Kubernetes, etcd and Helm, built from their Go modules, whose versions `modules/*/go.mod` pin; our CNI plugin; and, where a test asks
for it, an OpenTelemetry collector.

The first build takes both cores of a small machine some minutes. Another version is another folder of the cache.
"""

import os
import re
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from lab import screen
from lab.lab import Missing
from lab.namespaces import command

from .cache import CACHE, cached, key_of

HERE = Path(__file__).resolve().parent.parent
VERSION_PACKAGE = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Module:
    """One Go module: its folder, the dependency whose version it is about (`None`: our own code), the programs."""

    folder: Path
    about: str | None
    programs: dict[str, str]  # name -> Go package
    stamps: dict[str, str] = field(default_factory=dict)   # Go variable -> its value

    @property
    def name(self) -> str:
        return "-".join(filter(None, [self.folder.name, self.version]))

    @property
    def version(self) -> str | None:
        if self.about is None:
            return None
        found = re.search(rf"^\s*(?:require )?{re.escape(self.about)} (v\S+)", self.go_mod, re.MULTILINE)
        assert found, f"{self.folder}/go.mod does not name {self.about}"
        return found[1]

    @property
    def go_mod(self) -> str:
        return (self.folder / "go.mod").read_text()

    def flags(self) -> list[str]:
        stamps = [f"-X {name}={value.format(version=self.version)}" for name, value in self.stamps.items()]
        return ["-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", " ".join(["-s -w", *stamps])]

    def place(self, go: str) -> Path:
        """Where its programs are. Other versions, flags or another compiler: another place."""
        key = key_of(self.folder, go, *self.flags(), *self.programs, *self.programs.values())
        return CACHE / "bin" / f"{self.name}-{key}"


KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
MODULES = [
    Module(
        HERE / "modules" / "kubernetes",
        "k8s.io/kubernetes",
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES},
        {
            f"{VERSION_PACKAGE}.gitVersion": "{version}",
            f"{VERSION_PACKAGE}.gitMajor": "1",
            f"{VERSION_PACKAGE}.gitMinor": "35",
        },
    ),
    Module(HERE / "modules" / "etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}),
    Module(
        HERE / "modules" / "helm",
        "helm.sh/helm/v4",
        {"helm": "helm.sh/helm/v4/cmd/helm"},
        {"helm.sh/helm/v4/internal/version.version": "{version}"},
    ),
    Module(
        HERE / "modules" / "helm3",
        "helm.sh/helm/v3",
        {"helm3": "helm.sh/helm/v3/cmd/helm"},
        {"helm.sh/helm/v3/internal/version.version": "{version}"},
    ),
    Module(HERE / "meta-plugin", None, {"meta-plugin": "."}),
]
# Of no cluster: built for the fleet's tests.
COLLECTOR = Module(HERE / "modules" / "collector", "go.opentelemetry.io/collector/otelcol", {"otelcol": "."})


def build(modules: list[Module] = MODULES) -> dict[str, Path]:
    """Every program, by name; what is not in the cache is built first."""
    go = go_version()
    found = {}
    for module in modules:
        folder = cached(module.place(go), lambda folder, module=module: compile_module(module, folder), say)
        found |= {name: folder / name for name in module.programs}
    return found


def go_version() -> str:
    """Part of the key: another compiler builds other programs."""
    try:
        return command("go", "env", "GOVERSION", "GOARCH")
    except FileNotFoundError:
        wanted = max(re.search(r"^go (\S+)", module.go_mod, re.MULTILINE)[1] for module in MODULES)
        raise Missing(f"go is missing: install Go {wanted} or newer, as https://go.dev/dl says") from None


def compile_module(module: Module, folder: Path) -> None:
    started = time.monotonic()
    say(f"building {module.name}")
    packages = list(module.programs.values())
    total = len(go(module, "list", "-deps", *packages).splitlines())
    # Go names several programs after their packages, in a folder; a single one may have any name.
    output = f"{folder}/" if len(packages) > 1 else str(folder / next(iter(module.programs)))
    argv = ["nice", "go", "build", "-v", *module.flags(), "-o", output, *packages]
    with Progress(f"building {module.name}", total) as progress:
        process = subprocess.Popen(argv, cwd=module.folder, env=environment(), text=True, stderr=subprocess.PIPE)
        said = []
        try:
            for line in process.stderr:  # with -v, one package a line, and errors
                said.append(line)
                progress.step()
        except BaseException:
            process.kill()
            raise
    if process.wait() != 0:
        raise Missing(f"{module.name} cannot be built:\n{''.join(said[-20:])}")
    say(f"building {module.name}: done in {time.monotonic() - started:.0f} s")


def go(module: Module, *words: str) -> str:
    """What a go command prints in a module's folder. It may download the module's dependencies first."""
    done = subprocess.run(["go", *words], cwd=module.folder, env=environment(), text=True, capture_output=True)
    if done.returncode != 0:
        raise Missing(f"`go {words[0]}` in {module.folder} ended with {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def environment() -> dict[str, str]:
    return os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local"}


class Progress:
    """How far a build is: on a terminal a bar, elsewhere a line now and then."""

    EVERY = 30  # seconds between lines

    def __init__(self, title: str, total: int):
        self.title, self.total, self.done = title, total, 0
        self.started = time.monotonic()
        self.ended = threading.Event()
        self.ticker = threading.Thread(target=self.tick, daemon=True)

    def __enter__(self) -> "Progress":
        self.ticker.start()
        return self

    def __exit__(self, *error) -> None:
        self.ended.set()
        self.ticker.join()
        if screen.TERMINAL:
            print("\r\033[K", end="", flush=True)

    def step(self) -> None:
        self.done += 1

    def tick(self) -> None:
        while not self.ended.wait(0.5 if screen.TERMINAL else self.EVERY):
            done = min(self.done, self.total)
            took = f"{done} of {self.total} packages, {time.monotonic() - self.started:.0f} s"
            if screen.TERMINAL:
                filled = 30 * done // max(1, self.total)
                print(f"\r\033[K{'#' * filled}{'.' * (30 - filled)} {took}", end="", flush=True)
            else:
                say(f"  {self.title}: {took}")


def say(text: str) -> None:
    print(text, flush=True)
