"""Least privilege, tried: what each container, and each token, may not do is attempted from within."""

import contextlib

from cluster.fabric import IPV4
from fleet import manifests
from fleet.confinement import Container
from fleet.manifests import FLEET
from fleet.scene import Scene, pause
from lab.lab import eventually

OTHER = "second"  # a fleet without a speaker: its pod has the container `main` instead
PASSWORD = "correct horse battery staple"
SILENT = {"name": "silent", "address": str(IPV4.routers[0] + 5), "passwordSecretRef": {"name": f"{FLEET}-bgp", "key": "silent"}}

# What no container may do, and what the kernel says.
FORBIDDEN = dict.fromkeys((
    "mount", "umount", "pivot-root", "chroot", "unshare-user", "unshare-mount", "unshare-net", "clone-user", "setns",
    "sethostname", "mknod", "open-by-handle", "bpf-map", "bpf-program", "perf", "keyctl", "module", "kexec", "reboot", "swapon",
    "kernel-log", "clock", "setuid", "setgroups", "capset", "packet-socket", "raw-socket", "link",
), "EPERM") | {"priority": "EACCES", "low-port": "EACCES"}

# Without a privilege: uid 65532, who may not even ask for a device in a folder of root's.
NOBODY = {"mknod": "EACCES"}

# What each may do of it all, by the capabilities that it has.
CAPABILITIES = {"relay": {"NET_ADMIN"}, "speaker": {"NET_BIND_SERVICE", "NET_RAW"}, "main": set(), "operator": set()}
MAY = {
    "relay": {"link": "OK"},
    "speaker": {"packet-socket": "OK", "raw-socket": "OK", "low-port": "OK"},
    "main": NOBODY,
    "operator": NOBODY,
}

DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "pts/ptmx"}

# What every container has, and what each has beside it.
MOUNTS = {
    "/": "ro", "/proc": "rw", "/sys": "ro", "/dev": "rw", "/dev/pts": "rw", "/dev/mqueue": "rw", "/dev/shm": "rw",
    "/dev/termination-log": "rw", "/etc/hosts": "rw", "/etc/hostname": "ro", "/etc/resolv.conf": "ro",
}
SECRETS = "/var/run/secrets/kubernetes.io/serviceaccount"
REVISION, PASSWORDS, STATE, RUN, BIRD = (
    "/etc/culvert/revision", "/etc/culvert/passwords", "/var/lib/culvert", "/run/culvert", "/run/bird")
VOLUMES = {
    "relay": {"/dev/net/tun": "rw", STATE: "rw", RUN: "ro", REVISION: "ro", SECRETS: "ro"},
    "speaker": {RUN: "rw", BIRD: "rw", REVISION: "ro", PASSWORDS: "ro", SECRETS: "ro"},
    "main": {},
    "operator": {SECRETS: "ro"},
}


def test_confinement(scene: Scene):
    """relay, speaker, its stand-in, operator: what a program that was taken over would try, the kernel refuses; to root it
    does not"""
    with containers(scene) as found:
        for container in found:
            check_kernel(container)
            check_files(container)
        scene.say(f"{len(FORBIDDEN)} acts in each of {', '.join(container.name for container in found)}")
        check_apart(found)
        check_password(found)


@contextlib.contextmanager
def containers(scene: Scene):
    """One of each kind, of two fleets and an operator."""
    scene.apply(secret(scene), manifests.fleet(scene.name, OTHER, replicas=1))
    bgp = manifests.bgp()
    scene.start_fleet(1, bgp=bgp | {"peers": [*bgp["peers"], bgp["peers"][0] | SILENT]})
    assert eventually(lambda: pause(lambda: scene.relays(OTHER)[0].process("main")), 60), scene.kubectl("get", "pods")
    [pod], [other], operator = scene.relay_objects(FLEET), scene.relay_objects(OTHER), scene.culvert.operators()[0]
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Container(scene.cluster, *one)) for one in (
            (pod, "relay"), (pod, "speaker"), (other, "main"), (operator, "operator"))]


def secret(scene: Scene) -> dict:
    return {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{FLEET}-bgp", "namespace": scene.name},
        "stringData": {"silent": PASSWORD},
    }


def check_kernel(container: Container) -> None:
    """Of the acts that are refused, none is when nothing confines: so it was an attempt."""
    container.check_alike()
    status = container.status()
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), f"{container}: {status}"
    assert container.capabilities() == CAPABILITIES[container.name], f"{container}: {container.capabilities()}"
    expected = FORBIDDEN | MAY[container.name]
    found = container.attempts(*expected)
    assert found == expected, f"{container}: {differences(found, expected)}"
    free = container.unconfined(*expected)
    same = {act: free[act] for act, said in expected.items() if said != "OK" and free[act] in ("EPERM", "EACCES")}
    assert not same, f"{container}: refused whoever tries, which shows nothing: {same}"


def check_files(container: Container) -> None:
    """What is mounted, which devices there are, and that neither programs nor the kernel's settings can be changed."""
    name = container.name
    assert container.mounts() == MOUNTS | VOLUMES[name], f"{container}: {differences(container.mounts(), MOUNTS | VOLUMES[name])}"
    devices = DEVICES | ({"net/tun"} if name == "relay" else set())
    assert container.devices() == devices, f"{container}: {container.devices() ^ devices}"
    closed = [place for place, how in VOLUMES[name].items() if how == "ro"]
    open_ = [place for place, how in VOLUMES[name].items() if how == "rw" and place != "/dev/net/tun"]
    mine = "EROFS" if container.status()["Uid"].startswith("0 ") else "EACCES"  # root may, but for the mount
    expected = {
        **{f"create={place}/attempt": "EROFS" for place in ("", *closed)},
        **{f"create={place}/attempt": "OK" for place in ("/dev/shm", *open_)},
        **{f"write={file}": mine for file in (
            "/etc/hostname", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/core_pattern")},
        "write=/sys/class/net/lo/mtu": "EROFS",
    }
    found = container.attempts(*expected)
    assert found == expected, f"{container}: {differences(found, expected)}"


def check_apart(found: list[Container]) -> None:
    """No container finds another's processes, of its own pod or of another; the machine does, by the same numbers."""
    for one in found:
        acts = [f"{act}={other.pid}" for other in found if other is not one for act in ("signal", "trace")]
        assert set(one.attempts(*acts).values()) == {"ESRCH"}, f"{one}: {one.attempts(*acts)}"
        assert set(one.unconfined(*acts, processes=False).values()) == {"OK"}, f"{one}: no such processes: the test shows nothing"
    relay, speaker, *_ = found
    alike = {space for space in relay.spaces() if relay.spaces()[space] == speaker.spaces()[space]}
    assert alike == {"net", "ipc", "uts"}, f"relay and speaker share {alike}"


def check_password(found: list[Container]) -> None:
    """Routers' passwords are the speaker's alone."""
    having = {container.name: container.files_with(PASSWORD.encode()) for container in found}
    assert having.pop("speaker"), "the speaker does not have the password: the test shows nothing"
    assert not any(having.values()), having


def differences(found: dict, expected: dict) -> dict:
    return {key: f"{found.get(key)}, not {expected.get(key)}" for key in found | expected if found.get(key) != expected.get(key)}
