"""What the API server lets the operator write: what fleets are made of, and nothing else that its rights would allow."""

import contextlib
import copy
import json
import re
import subprocess
from typing import Iterable

from install.helm import CULVERT, NAMESPACE
from install.server import objects
from install.suite import Stage
from lab.lab import REPOSITORY, eventually

ROBOT = f"--as=system:serviceaccount:{NAMESPACE}:culvert-operator"
ADMIN = "--as="  # nobody else: whom kubectl is
CASES = sorted((REPOSITORY / "operator" / "tests" / "cases").glob("*/objects.yaml"))
FLEETS = "isp"  # the namespace in the cases
POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"

# One change to something that the operator writes: what it would be good for, the object's kind, where, what, and a word of the
# answer. A whole number is a place in a list, `+` one more.
MISUSES = (
    ("see the node's network", "Deployment", f"{POD}.hostNetwork", True, "namespace of its node"),
    ("see the node's processes", "Deployment", f"{POD}.hostPID", True, "namespace of its node"),
    ("be somebody else", "Deployment", f"{POD}.serviceAccountName", "default", "service account"),
    ("have the token everywhere", "Deployment", f"{POD}.automountServiceAccountToken", True, "service account"),
    ("make any system call", "Deployment", f"{POD}.securityContext.seccompProfile.type", "Unconfined", "seccomp"),
    ("make any system call in one container", "Deployment", f"{CONTAINER}.securityContext.seccompProfile", {"type": "Unconfined"},
     "privileged"),
    ("set any sysctl", "Deployment", f"{POD}.securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}], "sysctls"),
    ("be privileged", "Deployment", f"{CONTAINER}.securityContext", {"privileged": True}, "privileged"),
    ("become privileged", "Deployment", f"{CONTAINER}.securityContext.allowPrivilegeEscalation", True, "privileged"),
    ("be privileged at first", "Deployment", f"{POD}.initContainers.0.securityContext", {"privileged": True}, "privileged"),
    ("change programs", "Deployment", f"{CONTAINER}.securityContext.readOnlyRootFilesystem", False, "its own files"),
    ("have no limits", "Deployment", f"{CONTAINER}.securityContext", None, "privileged"),
    ("rule the node", "Deployment", f"{CONTAINER}.securityContext.capabilities.add", ["SYS_ADMIN"], "capability"),
    ("keep all capabilities", "Deployment", f"{CONTAINER}.securityContext.capabilities.drop", [], "capability"),
    ("listen at the node", "Deployment", f"{CONTAINER}.ports", [{"containerPort": 80, "hostPort": 80}], "the node's"),
    ("read the node's disk", "Deployment", f"{POD}.volumes.+", {"name": "x", "hostPath": {"path": "/"}}, "/dev/net/tun"),
    ("read any Secret", "Deployment", f"{POD}.volumes.+", {"name": "x", "secret": {"secretName": "x"}}, "Secrets"),
    ("read any Secret by another way", "Deployment", f"{POD}.volumes.+",
     {"name": "x", "projected": {"sources": [{"secret": {"name": "x"}}]}}, "config maps"),
    ("speak to others as the relay", "Deployment", f"{POD}.volumes.+",
     {"name": "x", "projected": {"sources": [{"serviceAccountToken": {"path": "x", "audience": "vault"}}]}}, "config maps"),
    ("mount a server's disk", "Deployment", f"{POD}.volumes.+", {"name": "x", "nfs": {"server": "x", "path": "/"}}, "/dev/net/tun"),
    ("belong to nobody", "Deployment", "metadata.ownerReferences", None, "no BorderRelay"),
    ("belong to another kind", "ConfigMap", "metadata.ownerReferences.0.kind", "Pod", "no BorderRelay"),
    ("have another name", "ServiceAccount", "metadata.name", "somebody", "this name"),
    ("replace others' settings", "ConfigMap", "metadata.name", "coredns", "this name"),
    ("be in the system's namespace", "ConfigMap", "metadata.namespace", "kube-system", "Kubernetes' own"),
    ("run in the system's namespace", "Deployment", "metadata.namespace", "kube-system", "Kubernetes' own"),
    ("hold a token", "ServiceAccount", "secrets", [{"name": "x"}], "holds nothing"),
    ("read all config maps", "Role", "rules.0.resourceNames", None, "by their names"),
    ("change revisions", "Role", "rules.0.verbs", ["get", "patch"], "by their names"),
    ("read others' config maps", "Role", "rules.0.resourceNames.+", "coredns", "by their names"),
    ("read pods", "Role", "rules.0.resources", ["pods"], "by their names"),
    ("let somebody else have it", "RoleBinding", "subjects.+",
     {"kind": "ServiceAccount", "name": "default", "namespace": FLEETS}, "its relays' alone"),
    ("let everybody have it", "RoleBinding", "subjects.+",
     {"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"}, "its relays' alone"),
    ("cut off other pods", "NetworkPolicy", "spec.podSelector", {}, "other pods"),
    ("keep nodes from being emptied", "PodDisruptionBudget", "spec.selector", {}, "other pods"),
)


def test_fleets_are_admitted(stage: Stage):
    """all that the operator makes of the cases' fleets, with each kind of object in it"""
    with admission(stage):
        for case in CASES:
            things = fleet(stage, case.read_text())
            try:
                for _ in ("made", "written again"):
                    done = write(stage, ROBOT, *things, dry="none")
                    assert done.returncode == 0, f"{case}: {done.stderr}"
            finally:
                stage.server.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=text(things))


def test_misuse_is_refused(stage: Stage):
    """what the operator's rights allow and no fleet needs is refused to it, rule by rule; to the administrator it is not"""
    with admission(stage), contextlib.ExitStack() as stack:
        things = {thing["kind"]: thing for thing in fleet(stage, CASES[0].read_text())}
        stack.callback(stage.server.kubectl, "delete", "-f", "-", stdin=text([things["Role"]]))
        assert write(stage, ADMIN, things["Role"], dry="none").returncode == 0  # who binds a role needs one
        for what, kind, place, value, word in MISUSES:
            misused = changed(things[kind], place, value)
            # Not all policies come into force at once.
            assert eventually(lambda: is_refused(write(stage, ROBOT, misused), word), 30), f"{what}: {write(stage, ROBOT, misused)}"
            control = write(stage, ADMIN, misused)
            assert control.returncode == 0, f"{what}: refused whoever asks, which shows nothing: {control.stderr}"


def test_others_objects(stage: Stage):
    """what belongs to nobody's fleet, the operator neither takes over nor deletes"""
    with admission(stage):
        [revision] = [thing for thing in fleet(stage, CASES[0].read_text()) if thing["kind"] == "ConfigMap"]
        others = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": revision["metadata"]["name"], "namespace": FLEETS}}
        stage.server.kubectl("create", "-f", "-", stdin=json.dumps(others))
        delete = ("delete", "configmap", others["metadata"]["name"], "--namespace", FLEETS, "--dry-run=server")
        try:
            for done in (write(stage, ROBOT, revision), stage.server.run("kubectl", *delete, ROBOT)):
                assert is_refused(done, "not of a fleet"), done
            assert stage.server.run("kubectl", *delete).returncode == 0
        finally:
            stage.server.kubectl(*delete[:-1])
        stage.server.kubectl("create", "-f", "-", stdin=json.dumps(revision))
        try:
            stage.server.must("kubectl", *delete, ROBOT)
        finally:
            stage.server.kubectl(*delete[:-1])


@contextlib.contextmanager
def admission(stage: Stage):
    """The chart's policies, in force."""
    server = stage.server
    server.make_namespace(NAMESPACE, "restricted")
    server.make_namespace(FLEETS)
    server.must("helm", "install", "culvert", CULVERT, "--namespace", NAMESPACE)
    try:
        nobodys = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nobodys", "namespace": FLEETS}}
        assert eventually(lambda: "denied request" in write(stage, ROBOT, nobodys).stderr, 30), write(stage, ROBOT, nobodys)
        yield
    finally:
        server.must("helm", "uninstall", "culvert", "--namespace", NAMESPACE)


def fleet(stage: Stage, case: str) -> list[dict]:
    """The objects of a case, which has names of domains where compressed files are."""
    whole = re.sub(r"<.*>", "AA==", case)
    return objects(stage.server.kubectl("create", "--dry-run=client", "-f", "-", "-o", "json", stdin=whole))


def write(stage: Stage, who: str, *things: dict, dry: str = "server") -> subprocess.CompletedProcess:
    """As the operator writes; nothing is kept, but with `dry="none"`."""
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=culvert-operator", f"--dry-run={dry}", "-f", "-")
    return stage.server.run("kubectl", *apply, who, stdin=text(things))


def is_refused(done: subprocess.CompletedProcess, word: str) -> bool:
    return done.returncode != 0 and "denied request" in done.stderr and word in done.stderr


def text(things: Iterable[dict]) -> str:
    return "\n---\n".join(map(json.dumps, things))


def changed(thing: dict, place: str, value) -> dict:
    """A copy; `None` removes."""
    made = copy.deepcopy(thing)
    *way, last = place.split(".")
    at = made
    for step in way:
        at = at[int(step)] if isinstance(at, list) else at[step]
    if last == "+":
        at.append(value)
    elif value is None:
        del at[last]
    else:
        at[last] = value
    return made
