"""What the tokens in relays' and operators' pods are good for at the API server, and what they are not."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from fleet import manifests
from fleet.api import MERGE_PATCH, Api, Refused
from fleet.confinement import Container
from fleet.installation import NAMESPACE
from fleet.manifests import FLEET
from fleet.relays import RelayPod
from fleet.rights import allowed, questions
from fleet.scene import Scene, pause
from lab.lab import eventually

OTHER = "second"  # a fleet in the same namespace
SYSTEM = "kube-system"
OPERATOR = "culvert-operator"
RBAC = "/apis/rbac.authorization.k8s.io/v1"

# Every service account may ask who it is and what it may do, and what kind of server this is.
ANYBODY = """
cluster: selfsubjectaccessreviews.authorization.k8s.io: create
cluster: selfsubjectreviews.authentication.k8s.io: create
cluster: selfsubjectrulesreviews.authorization.k8s.io: create
get /.well-known/openid-configuration
get /api
get /apis
get /healthz
get /livez
get /openapi/v2
get /readyz
get /version
"""

# Relay and speaker: the fleet's own revision.
RELAY = """
{namespace}: configmaps default-revision: get list watch
"""

# The operator, where it looks after all namespaces.
EVERYWHERE = """
cluster: borderrelays.culvert.dev: get list watch
cluster: borderrelays/finalizers.culvert.dev: update
cluster: borderrelays/status.culvert.dev: patch
cluster: configmaps: get list watch create patch delete
cluster: deployments.apps: get list watch create patch
cluster: events.events.k8s.io: create patch
cluster: mapdomains.culvert.dev: get list watch
cluster: mapdomains/status.culvert.dev: patch
cluster: namespaces: get list watch
cluster: network-attachment-definitions.k8s.cni.cncf.io: get list watch
cluster: networkpolicies.networking.k8s.io: get list watch create patch
cluster: nodes: get list watch
cluster: poddisruptionbudgets.policy: get list watch create patch
cluster: pods: get list watch
cluster: rolebindings.rbac.authorization.k8s.io: get list watch create patch
cluster: roles.rbac.authorization.k8s.io: get list watch create patch
cluster: serviceaccounts: get list watch create patch
culvert-operator: leases.coordination.k8s.io culvert-operator: get update
culvert-operator: leases.coordination.k8s.io: create
"""


@dataclass(frozen=True)
class Act:
    """A request that is forbidden to somebody. `{n}` is the fleets' namespace, `{pod}` a relay."""

    what: str
    method: str
    path: str
    body: dict | None = None
    headers: tuple = ()

    def perform(self, who: Api, names: dict, dry: bool = False) -> int:
        """The status."""
        kind = MERGE_PATCH if self.method == "PATCH" else "application/json"
        path = self.path.format(**names)
        if dry and self.method != "GET":
            path += f"{'&' if '?' in path else '?'}dryRun=All"
        with who.connection() as connection:
            return who.answer(connection, self.method, path, self.body, kind, **dict(self.headers))[0]


def named(kind: str, version: str = "v1", name: str = "attempt", **more) -> dict:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}} | more


MASTERS = (("Impersonate-User", "admin"), ("Impersonate-Group", "system:masters"))
POD = named("Pod", spec={"containers": [{"name": "a", "image": "a"}]})
# Which rights allow, and admission policies do not.
INTRUDER = {"metadata": {"labels": {"a": "b"}}, "spec": {"hostPID": True, "containers": [{"name": "a", "image": "a"}]}}
DEPLOYMENT = named("Deployment", "apps/v1", spec={"selector": {"matchLabels": {"a": "b"}}, "template": INTRUDER})
TOKEN = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
ADMIN = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
TOUCH = {"metadata": {"annotations": {"attempt": "1"}}}
RULES = "rbac.authorization.k8s.io/v1"
OURS = "/apis/culvert.dev/v1alpha1/namespaces/{n}"

# To both.
NOBODY = [
    Act("read the routers' passwords", "GET", "/api/v1/namespaces/{n}/secrets/default-bgp"),
    Act("list all secrets", "GET", "/api/v1/secrets"),
    Act("make a pod", "POST", "/api/v1/namespaces/{n}/pods", POD),
    Act("make a pod of the system's", "POST", "/api/v1/namespaces/kube-system/pods", POD),
    Act("change a pod", "PATCH", "/api/v1/namespaces/{n}/pods/{pod}", TOUCH),
    Act("delete a pod", "DELETE", "/api/v1/namespaces/{n}/pods/{pod}"),
    Act("run a program in a pod", "POST", "/api/v1/namespaces/{n}/pods/{pod}/exec?command=a&container=relay&stdout=1"),
    Act("forward a port to a pod", "POST", "/api/v1/namespaces/{n}/pods/{pod}/portforward"),
    Act("read a pod's log", "GET", "/api/v1/namespaces/{n}/pods/{pod}/log?container=relay"),
    Act("ask a node's kubelet", "GET", "/api/v1/nodes/{node}/proxy/healthz"),
    Act("change a node", "PATCH", "/api/v1/nodes/{node}", TOUCH),
    Act("make a token", "POST", "/api/v1/namespaces/{n}/serviceaccounts/default/token", TOKEN),
    Act("be somebody else", "GET", "/api/v1/namespaces", headers=MASTERS),
    Act("delete a Deployment", "DELETE", "/apis/apps/v1/namespaces/{n}/deployments/default-relay"),
    Act("delete a fleet", "DELETE", OURS + "/borderrelays/default"),
    Act("change a fleet", "PATCH", OURS + "/borderrelays/default", TOUCH),
    Act("change a domain", "PATCH", OURS + "/mapdomains/isp-a", TOUCH),
    Act("bind a role in the cluster", "POST", RBAC + "/clusterrolebindings",
        named("ClusterRoleBinding", RULES, roleRef=ADMIN)),
    Act("have a right in the cluster", "PATCH", RBAC + "/clusterroles/culvert-operator:culvert-operator", TOUCH),
]

RELAYS = [
    *NOBODY,
    Act("list config maps", "GET", "/api/v1/namespaces/{n}/configmaps"),
    Act("read another fleet's revision", "GET", "/api/v1/namespaces/{n}/configmaps/second-revision"),
    Act("change its own revision", "PATCH", "/api/v1/namespaces/{n}/configmaps/default-revision", TOUCH),
    Act("delete its own revision", "DELETE", "/api/v1/namespaces/{n}/configmaps/default-revision"),
    Act("change its own Deployment", "PATCH", "/apis/apps/v1/namespaces/{n}/deployments/default-relay", TOUCH),
    Act("change its own Role", "PATCH", RBAC + "/namespaces/{n}/roles/default-relay", TOUCH),
    Act("open its network policy", "PATCH", "/apis/networking.k8s.io/v1/namespaces/{n}/networkpolicies/default-relay", TOUCH),
    Act("say something of a fleet", "PATCH", OURS + "/borderrelays/default/status", {"status": {}}),
    Act("read fleets", "GET", OURS + "/borderrelays"),
    Act("list pods", "GET", "/api/v1/namespaces/{n}/pods"),
    Act("list nodes", "GET", "/api/v1/nodes"),
    Act("write an event", "POST", "/api/v1/namespaces/{n}/events",
        named("Event", involvedObject={"kind": "Pod", "name": "a"}, reason="A", message="a", type="Normal")),
]

OPERATORS = [
    *NOBODY,
    Act("lead elsewhere", "POST", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
        named("Lease", "coordination.k8s.io/v1")),
    Act("say something of a pod", "PATCH", "/api/v1/namespaces/{n}/pods/{pod}/status", TOUCH),
    Act("change a namespace", "PATCH", "/api/v1/namespaces/{n}", TOUCH),
    Act("give a right that it does not have", "POST", RBAC + "/namespaces/{n}/roles",
        named("Role", RULES, rules=[SECRETS])),
    Act("bind a role whose rights it does not have", "POST", RBAC + "/namespaces/{n}/rolebindings",
        named("RoleBinding", RULES, roleRef=ADMIN)),
    *(Act(f"run anything in {place}", "POST", f"/apis/apps/v1/namespaces/{place}/deployments", DEPLOYMENT)
      for place in ("{n}", NAMESPACE, SYSTEM)),
    Act("change others' config maps", "PATCH", "/api/v1/namespaces/{n}/configmaps/kube-root-ca.crt", TOUCH),
    Act("delete others' config maps", "DELETE", "/api/v1/namespaces/{n}/configmaps/kube-root-ca.crt"),
]


def test_tokens(scene: Scene):
    """those of relay, speaker and operator: every verb on every resource is asked, and allowed is what is listed here; what a
    thief would ask for is answered with 403, and to the administrator it is not; a token ends with its pod"""
    relay, speaker, operator = tokens(scene)
    assert who(relay) == who(speaker) == f"system:serviceaccount:{scene.name}:{FLEET}-relay", who(speaker)
    assert who(operator) == f"system:serviceaccount:{NAMESPACE}:{OPERATOR}"
    check_rights(scene, relay, operator)
    [pod] = scene.relays()
    names = {"n": scene.name, "pod": pod.name, "node": pod.node}
    for robot, acts in ((relay, RELAYS), (speaker, RELAYS), (operator, OPERATORS)):
        check_forbidden(scene, robot, acts, names)
    scene.say(f"{len(RELAYS)} requests as a relay, as many as a speaker, {len(OPERATORS)} as an operator")
    check_ends_with_pod(scene, relay, pod)


def tokens(scene: Scene) -> list[Api]:
    """Those that are in a relay's, its speaker's and an operator's containers, used from their networks."""
    password = named("Secret", name=f"{FLEET}-bgp", stringData={"any": "password"})
    password["metadata"]["namespace"] = scene.name
    scene.apply(password, manifests.fleet(scene.name, OTHER, replicas=1))
    scene.start_fleet(1, bgp=manifests.bgp())
    scene.expect("BorderRelay", OTHER, Accepted=True)
    [pod], operator = scene.relay_objects(), scene.culvert.operators()[0]
    found = [Container(scene.cluster, *one) for one in ((pod, "relay"), (pod, "speaker"), (operator, "operator"))]
    return [container.api() for container in found]


def who(robot: Api) -> str:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = robot.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    return answer["status"]["userInfo"]["username"]


def check_rights(scene: Scene, relay: Api, operator: Api) -> None:
    names = [f"{FLEET}-revision", f"{OTHER}-revision", OPERATOR]
    asked = [*questions(scene.api, [scene.name, NAMESPACE, SYSTEM], names)]
    lists = (ANYBODY + RELAY.format(namespace=scene.name), ANYBODY + EVERYWHERE)
    with ThreadPoolExecutor(len(lists)) as pool:
        list(pool.map(check_allowed, (relay, operator), (asked, asked), lists))  # raises what one of them does
    scene.say(f"{len(asked):,} questions each")


def check_allowed(robot: Api, asked: list, listed: str) -> None:
    wanted, found = {*listed.strip().splitlines()} - {""}, {*allowed(robot, asked)}
    assert found == wanted, f"{who(robot)} may also {sorted(found - wanted)}, and may not {sorted(wanted - found)}"


def check_forbidden(scene: Scene, robot: Api, acts: list[Act], names: dict) -> None:
    """The administrator, whose request changes nothing, is not refused: so it was a request that would be answered."""
    statuses = {act.what: act.perform(robot, names) for act in acts}
    answered = {what: status for what, status in statuses.items() if status != 403}
    assert not answered, f"{who(robot)}: {answered}"
    control = {act.what: act.perform(scene.api, names, dry=True) for act in acts}
    vain = {what: status for what, status in control.items() if status in (401, 403, 404, 405)}
    assert not vain, f"refused whoever asks, which shows nothing: {vain}"


def check_ends_with_pod(scene: Scene, robot: Api, pod: RelayPod) -> None:
    """A token is bound to its pod. It is asked from elsewhere: the pod's network is gone too."""
    stolen = Api(scene.cluster, token=robot.headers["Authorization"].removeprefix("Bearer "))
    assert who(stolen) == who(robot), "the token does not work elsewhere, so this test shows nothing"
    scene.kubectl("delete", "pod", pod.name, "--timeout=60s")

    def refused() -> bool:
        try:
            who(stolen)
        except Refused as error:
            return error.status == 401
        return False

    assert eventually(lambda: refused() or pause(lambda: False), 30), "the token outlives its pod"
