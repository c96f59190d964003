"""What the service accounts of the operator and of `helm test` may do, as the API server says: what they need, and no more."""

import contextlib
import json

from install.helm import CULVERT, NAMESPACE
from install.suite import Stage
from lab.lab import eventually

ROBOT = f"system:serviceaccount:{NAMESPACE}:culvert-operator"
TEST = "culvert-test"
NEEDED = "operator/rbac.yaml"  # generated from the operator's code

Rights = dict[str, set[str]]  # resource, and names if it is about some only -> verbs


def test_rights_in_all_namespaces(stage: Stage):
    """without watchNamespaces: in every namespace, what the operator's code says that it needs, and no more"""
    fleets, cluster, lease = needed(stage)
    with installed(stage):
        expect_rights(stage, "elsewhere", fleets | cluster)
        expect_rights(stage, NAMESPACE, fleets | cluster | lease)


def test_rights_in_watched_namespaces(stage: Stage):
    """with watchNamespaces: in these alone"""
    fleets, cluster, lease = needed(stage)
    stage.server.make_namespace("fleets-a")
    with installed(stage, "--set", "watchNamespaces={fleets-a}"):
        expect_rights(stage, "fleets-a", fleets | cluster)
        expect_rights(stage, "elsewhere", cluster)
        expect_rights(stage, NAMESPACE, cluster | lease)


def test_rights_of_helm_test(stage: Stage):
    """in the test's namespace alone: fleets and domains of its name, and where pods are"""
    with installed(stage):
        expect_rights(stage, "elsewhere", {}, TEST)
        expect_rights(stage, NAMESPACE, {"pods": {"get", "list"}} | {
            f"{kind}.culvert.dev{name}": verbs for kind in ("borderrelays", "mapdomains")
            for name, verbs in (("", {"create"}), (f" {TEST}", {"get", "delete"}))}, TEST)


def test_roles_that_the_operator_makes(stage: Stage):
    """it can let a relay read its revision, and nobody read a secret or make a pod; by its rights alone, without the admission
    policies"""
    with installed(stage, "--set", "admissionPolicy.enabled=false"):
        stage.server.make_namespace("elsewhere")
        revision = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["rev"], "verbs": ["get", "list", "watch"]}
        # An installation before this had the policies, which are in force for a second after they are deleted.
        assert eventually(lambda: make_role(stage, revision).returncode == 0, 30), make_role(stage, revision).stderr
        for resource, verb in (("secrets", "get"), ("pods", "create"), ("*", "*")):
            made = make_role(stage, revision | {"resources": [resource], "verbs": [verb]})
            assert made.returncode != 0 and "attempting to grant" in made.stderr, f"{resource}: {made.stdout}{made.stderr}"


def needed(stage: Stage) -> tuple[Rights, Rights, Rights]:
    """In namespaces with fleets, in the whole cluster, in its own namespace."""
    roles = {role["metadata"]["name"]: by_resource(role["rules"]) for role in stage.server.accept("-f", NEEDED)}
    fleets, cluster, lease = (roles[f"culvert-operator-{part}"] for part in ("fleets", "cluster", "lease"))
    # The chart is stricter: it knows the lease's name. Only what is not there yet has none.
    [(leases, verbs)] = lease.items()
    return fleets, cluster, {leases: {"create"}, f"{leases} culvert-operator": verbs - {"create"}}


@contextlib.contextmanager
def installed(stage: Stage, *words: str):
    stage.server.make_namespace(NAMESPACE, "restricted")
    stage.server.must("helm", "install", "culvert", CULVERT, "--namespace", NAMESPACE, *words)
    try:
        yield
    finally:
        stage.server.must("helm", "uninstall", "culvert", "--namespace", NAMESPACE)


def expect_rights(stage: Stage, namespace: str, expected: Rights, account: str = "culvert-operator") -> None:
    """The API server hears of rights a moment after they are written."""
    assert eventually(lambda: rights(stage, namespace, account) == expected, 30), rights(stage, namespace, account)


def rights(stage: Stage, namespace: str, account: str = "culvert-operator") -> Rights:
    """What the operator, or another account of its namespace, may do beyond what every service account may do."""
    usual = rules(stage, namespace, "somebody-else")
    return by_resource([rule for rule in rules(stage, namespace, account) if rule not in usual])


def by_resource(rules: list[dict]) -> Rights:
    found: Rights = {}
    for rule in rules:
        for resource in rule["resources"]:
            key = ".".join(filter(None, [resource, *rule["apiGroups"]]))
            found.setdefault(" ".join([key, *rule.get("resourceNames", [])]), set()).update(rule["verbs"])
    return found


def rules(stage: Stage, namespace: str, account: str) -> list[dict]:
    """What the API server says that a service account of the operator's namespace may do."""
    review = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace},
    }
    who = f"--as=system:serviceaccount:{NAMESPACE}:{account}"
    answer = stage.server.kubectl("create", "--validate=false", "-f", "-", "-o", "json", who, stdin=json.dumps(review))
    return json.loads(answer)["status"]["resourceRules"]


def make_role(stage: Stage, rule: dict):
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "default-relay", "namespace": "elsewhere"}, "rules": [rule],
    }
    apply = ("apply", "--server-side", "--field-manager=culvert-operator", "--dry-run=server", "-f", "-")
    return stage.server.run("kubectl", *apply, f"--as={ROBOT}", stdin=json.dumps(role))
