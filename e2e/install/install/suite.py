"""The tests of what people install: all share one API server, and the images of `make images`."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import ContextManager

from cluster.cli import check_machine
from lab.lab import REPOSITORY
from lab.namespaces import remove_namespaces
from lab.runner import Suite

from .server import ApiServer

HERE = Path(__file__).resolve().parent.parent


class Stage:
    """What a test gets: the API server, and a folder."""

    def __init__(self, server: ApiServer, folder: Path):
        self.server = server
        self.folder = folder


class InstallSuite(Suite):
    name = "install"
    folder = HERE

    def check_machine(self) -> None:
        check_machine()

    @contextlib.contextmanager
    def run(self, folder: Path):
        self.server = ApiServer(folder / "server")
        try:
            self.server.start()
            yield
        finally:
            self.keep_logs(folder)
            remove_namespaces(str(os.getpid()))
            shutil.rmtree(folder / "server", ignore_errors=True)

    def keep_logs(self, folder: Path) -> None:
        """If a test failed: its folder is there then."""
        for test in folder.iterdir():
            if test.name != "server":
                for log in (folder / "server" / "control").glob("*.log"):
                    shutil.copy(log, test)

    def stage(self, folder: Path) -> ContextManager[Stage]:
        return contextlib.nullcontext(Stage(self.server, folder))

    def how_to_enter(self, stage: Stage) -> str:
        kubectl = f"{stage.server.folder}/bin/kubectl --kubeconfig {stage.server.folder}/pki/admin.kubeconfig"
        return f"The API server is up: ip netns exec {stage.server.space.name} {kubectl} get all -A"

    def shell(self, folder: Path) -> None:
        stage = self.stage(folder)
        print(self.how_to_enter(stage))
        subprocess.run(stage.server.space.argv(os.environ.get("SHELL", "/bin/sh")), cwd=REPOSITORY)
