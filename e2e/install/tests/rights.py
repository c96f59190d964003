"""What the operator's service account may do, as the API server says: what it needs, and no more."""

import contextlib
import json

from install.helm import CULVERT, NAMESPACE
from install.suite import Stage

ROBOT = f"system:serviceaccount:{NAMESPACE}:culvert-operator"
READ = {"get", "list", "watch"}
APPLY = READ | {"create", "patch"}

# In a namespace with fleets.
IN_FLEETS = {
    "mapdomains.culvert.dev": READ,
    "borderrelays.culvert.dev": READ,
    "mapdomains/status.culvert.dev": {"patch"},
    "borderrelays/status.culvert.dev": {"patch"},
    "borderrelays/finalizers.culvert.dev": {"update"},
    "deployments.apps": APPLY,
    "configmaps": APPLY | {"delete"},
    "serviceaccounts": APPLY,
    "poddisruptionbudgets.policy": APPLY,
    "networkpolicies.networking.k8s.io": APPLY,
    "roles.rbac.authorization.k8s.io": APPLY,
    "rolebindings.rbac.authorization.k8s.io": APPLY,
    "pods": READ,
    "network-attachment-definitions.k8s.cni.cncf.io": READ,
    "events.events.k8s.io": {"create", "patch"},
}
# Everywhere.
EVERYWHERE = {"nodes": READ, "namespaces": READ}
# In its own namespace.
AT_HOME = {
    "leases.coordination.k8s.io": {"create"},
    "leases.coordination.k8s.io culvert-operator": {"get", "update"},
}


def test_rights_in_all_namespaces(stage: Stage):
    """without watchNamespaces: in every namespace, these rights and no others"""
    with installed(stage):
        assert rights(stage, "elsewhere") == IN_FLEETS | EVERYWHERE
        assert rights(stage, NAMESPACE) == IN_FLEETS | EVERYWHERE | AT_HOME


def test_rights_in_watched_namespaces(stage: Stage):
    """with watchNamespaces: in these alone"""
    stage.server.make_namespace("fleets-a")
    with installed(stage, "--set", "watchNamespaces={fleets-a}"):
        assert rights(stage, "fleets-a") == IN_FLEETS | EVERYWHERE
        assert rights(stage, "elsewhere") == EVERYWHERE
        assert rights(stage, NAMESPACE) == EVERYWHERE | AT_HOME


def test_roles_that_the_operator_makes(stage: Stage):
    """it can let a relay read its revision, and nobody read a secret or make a pod"""
    with installed(stage):
        stage.server.make_namespace("elsewhere")
        revision = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["rev"], "verbs": ["get", "list", "watch"]}
        made = make_role(stage, revision)
        assert made.returncode == 0, made.stderr
        for resource, verb in (("secrets", "get"), ("pods", "create"), ("*", "*")):
            made = make_role(stage, revision | {"resources": [resource], "verbs": [verb]})
            assert made.returncode != 0 and "attempting to grant" in made.stderr, f"{resource}: {made.stdout}{made.stderr}"


@contextlib.contextmanager
def installed(stage: Stage, *words: str):
    stage.server.make_namespace(NAMESPACE, "restricted")
    stage.server.must("helm", "install", "culvert", CULVERT, "--namespace", NAMESPACE, *words)
    try:
        yield
    finally:
        stage.server.must("helm", "uninstall", "culvert", "--namespace", NAMESPACE)


def rights(stage: Stage, namespace: str) -> dict[str, set[str]]:
    """Resource, and names if it is about some only -> verbs; beyond what every service account may do."""
    usual = rules(stage, namespace, "somebody-else")
    found: dict[str, set[str]] = {}
    for rule in (rule for rule in rules(stage, namespace, "culvert-operator") if rule not in usual):
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
