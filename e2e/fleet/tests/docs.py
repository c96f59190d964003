"""What the documentation tells people to type, typed."""

import os
import subprocess
import sys

from fleet import manifests
from fleet.installation import target
from fleet.manifests import DOMAIN, FLEET
from fleet.scene import Scene
from lab.lab import REPOSITORY

sys.path.append(str(REPOSITORY / "e2e" / "docs"))

from pages.markdown import Block, Page, find_pages  # noqa: E402

MADE = "culvert-system"  # the namespace that the README's commands make


def test_docs(scene: Scene):
    """every command of the pages that needs a cluster (blocks `sh fleet`) works on a fleet with BGP, and prints something"""
    scene.start_fleet(2, bgp=manifests.bgp())
    scene.cluster.kubectl("apply", "-f", str(REPOSITORY / "deploy" / "examples" / "cluster" / "namespaces.yaml"))
    try:
        wrong = [trouble for page, block in blocks() if (trouble := complaint(scene, page, block))]
        assert not wrong, "\n".join(wrong)
    finally:
        scene.cluster.kubectl("delete", "namespace", MADE, "--timeout=120s")


def blocks() -> list[tuple[Page, Block]]:
    found = [(page, block) for page in find_pages() for block in page.blocks if block.info[:2] == ("sh", "fleet")]
    assert found, "no page has a block `sh fleet`"
    return found


def complaint(scene: Scene, page: Page, block: Block) -> str | None:
    """What is wrong with a block: each of its lines has to work in one shell, with the variables that the pages speak of."""
    names = {"NS": scene.name, "FLEET": FLEET, "DOMAIN": DOMAIN, "POD": scene.relays()[0].name}
    path = f"PATH={target() / 'release'}:{scene.cluster.folder / 'bin'}:{os.environ['PATH']}"
    shell = scene.cluster.argv("env", path, "bash", "-e", "-o", "pipefail", "-c", block.text)
    done = subprocess.run(shell, cwd=REPOSITORY, env=os.environ | names, capture_output=True, text=True, timeout=180)
    if done.returncode == 0 and done.stdout.strip():
        return None
    said = (done.stderr or done.stdout).strip() or "nothing is printed"
    return f"{page.name}:{block.at}: exit code {done.returncode}: {said}"
