"""The lab's tests: each gets a network of its own, with no relay in it yet."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from . import arithmetic
from .arithmetic import Arithmetic
from .lab import LAB, Lab, check_machine, find_binary
from .recorder import recording
from .runner import Suite
from .topology import __doc__ as MAP


class LabSuite(Suite):
    name = "lab"
    folder = LAB

    def check_machine(self) -> None:
        check_machine()
        self.built = find_binary()

    @contextlib.contextmanager
    def run(self, folder: Path):
        """A relay that any user may run, and that stays the same while a build goes on."""
        (folder / "bin").mkdir()
        self.binary = Path(shutil.copy(self.built, folder / "bin" / "culvert-relay"))
        self.emitted = Arithmetic()
        try:
            yield
        finally:
            shutil.rmtree(folder / "bin")

    @contextlib.contextmanager
    def stage(self, folder: Path):
        """A lab in which everything is recorded that relays emit."""
        with Lab(folder, self.binary) as lab, recording(lab.relay_node, folder / "emitted.pcap") as self.recorder:
            yield lab

    def check_afterwards(self, lab: Lab) -> None:
        lab.check_nothing_is_left()
        self.recorder.stop()
        self.check_emitted()

    def check_emitted(self) -> None:
        """Has tshark go over what was recorded, and adds that to what the whole run emitted."""
        recorded = self.recorder.count
        if recorded == 0:
            return
        found = arithmetic.check(self.recorder.file)
        self.emitted.add(found)
        assert found.packets == recorded, f"tshark read {found.packets} packets, {recorded} were recorded"
        assert not found.wrong, "\n".join(["the relay emitted what is wrong (emitted.pcap):", *found.wrong])

    def summary(self) -> str:
        return f"{self.emitted}\n"

    def keep_evidence(self, lab: Lab, _folder: Path) -> None:
        lab.keep_evidence()

    def how_to_enter(self, lab: Lab) -> str:
        example = lab.customers[0].lan.name
        return f"{MAP}\nThe lab is up. Enter a node: ip netns exec {example} bash"

    def shell(self, folder: Path) -> None:
        """The lab with a relay, for a person to look around in."""
        with self.stage(folder) as lab, lab.relay():
            names = " ".join(node.name for node in lab.network.nodes)
            print(f"{self.how_to_enter(lab)}\nnodes: {names}")
            print("This shell is in the relay's node; leave it to tear the lab down.")
            subprocess.run(lab.relay_node.argv(os.environ.get("SHELL", "/bin/sh")))

    def last_words(self, folder: Path) -> list[str]:
        words = []
        for log in sorted(folder.glob("relay*/relay.log")):
            last = log.read_text().splitlines()[-10:]
            words += [f"last words of {log.parent.name}:", *(f"  {line}" for line in last)]
        for metrics in sorted(folder.glob("relay*/metrics")):
            counted = (line for line in metrics.read_text().splitlines() if line[:1] != "#")
            words += [f"  {line}" for line in counted if "dropped_packets" in line]
        return words
