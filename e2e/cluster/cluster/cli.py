"""What `run` does."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from lab.lab import Missing, become_root
from lab.namespaces import CommandFailed
from lab.runner import end_by_exception

from . import binaries
from .cluster import Cluster, clusters
from .fabric import __doc__ as MAP
from .machine import Machine
from .router import missing

SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/go/bin"
PROGRAMS = ("ip", "nft", "containerd", "runc", "buildah", "busybox", "openssl", "conntrack", "gcc", "nsenter")


def main(doc: str) -> int:
    arguments = parse(doc)
    try:
        end_by_exception()
        check_machine()
        return COMMANDS[arguments.command](arguments) or 0
    except (Missing, CommandFailed, AssertionError) as failed:
        print(f"cluster: {failed}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncluster: interrupted", file=sys.stderr)
        return 130


def parse(doc: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="dev", help="which cluster; `dev` by default")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=" ".join(COMMANDS))
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="what the command takes")
    return parser.parse_args()


def check_machine() -> None:
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{SBIN}"
    become_root()
    if lacking := [*(program for program in PROGRAMS if shutil.which(program) is None), *missing()]:
        raise Missing(f"not installed: {', '.join(lacking)}. Run scripts/install-tools cluster")


def up(arguments) -> None:
    cluster = Cluster(arguments.name)
    started = time.monotonic()
    cluster.up()
    print(MAP)
    print(cluster.kubectl("get", "nodes", "-o", "wide"))
    run = " ".join([sys.argv[0], *(["--name", arguments.name] if arguments.name != "dev" else [])])
    print(f"""Cluster {cluster.name} is up after {time.monotonic() - started:.0f} s.

  {run} kubectl get pods -A
  {run} shell                  # kubectl, helm, helm3 and KUBECONFIG are set in it
  {run} tor 1 vtysh            # the router's command line: show bgp summary

The kubeconfig is {cluster.kubeconfig}; its API server is reached within the
namespace {cluster.fabric.control.name}. Logs are in {cluster.folder}/*/*.log.""")


def down(arguments) -> None:
    cluster = Cluster(arguments.name)
    existed = cluster.exists()
    cluster.down()
    print(f"cluster {arguments.name} is gone" if existed else f"there was no cluster {arguments.name}")


def kubectl(arguments) -> int:
    return subprocess.run(existing(arguments).argv("kubectl", *arguments.words)).returncode


def shell(arguments) -> int:
    argv = arguments.words or [os.environ.get("SHELL", "/bin/sh")]
    return subprocess.run(existing(arguments).argv(*argv)).returncode


def load(arguments) -> None:
    cluster = existing(arguments)
    for archive in map(Path, arguments.words):
        if not archive.is_file():
            raise Missing(f"{archive}: no such file")
        cluster.load_image(archive)


def node(arguments) -> int:
    cluster = existing(arguments)
    return run_in("node", {str(number): one.machine for number, one in cluster.nodes.items()}, arguments.words)


def tor(arguments) -> int:
    routers = existing(arguments).fabric.routers
    return run_in("tor", {str(number): one for number, one in enumerate(routers, start=1)}, arguments.words)


def run_in(kind: str, machines: dict[str, Machine], words: list[str]) -> int:
    number, *argv = words or [""]
    if number not in machines or not argv:
        raise Missing(f"{kind}: its number ({' or '.join(machines)}) and a command are needed")
    return subprocess.run(machines[number].argv(*argv)).returncode


def list_clusters(_arguments) -> None:
    for name in clusters():
        print(name)


def build(_arguments) -> None:
    for name, program in binaries.build().items():
        print(f"{name:25} {program}")


def existing(arguments) -> Cluster:
    cluster = Cluster(arguments.name)
    if not cluster.exists():
        raise Missing(f"there is no cluster {arguments.name}")
    return cluster


COMMANDS = {
    "up": up, "down": down, "kubectl": kubectl, "shell": shell, "load": load, "node": node, "tor": tor, "list": list_clusters,
    "build": build,
}
