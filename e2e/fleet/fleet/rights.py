"""What somebody may do at the API server: every verb on every resource, asked one by one, and written as a short list."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Iterable, Iterator

from .api import Api

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
# What discovery does not list: verbs that are no requests of their own (RBAC, impersonation, certificates), and whether an owner
# may block its deletion.
SPECIAL = [
    *((verb, "rbac.authorization.k8s.io", kind, scoped) for verb in ("bind", "escalate")
      for kind, scoped in (("roles", True), ("clusterroles", False))),
    *(("impersonate", "", kind, kind == "serviceaccounts") for kind in ("users", "groups", "serviceaccounts")),
    *((verb, "certificates.k8s.io", "signers", False) for verb in ("approve", "sign", "attest")),
    ("update", "culvert.dev", "borderrelays/finalizers", True),
]
PATHS = ("/api", "/apis", "/healthz", "/livez", "/readyz", "/openapi/v2", "/version", "/metrics", "/logs", "/debug/pprof/heap",
         "/configz", "/.well-known/openid-configuration", "/anything")


@dataclass(frozen=True)
class Question:
    """An empty `name` is any object; an empty `namespace` is the whole cluster."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""

    def attributes(self) -> dict:
        resource, _, sub = self.resource.partition("/")
        return {"resourceAttributes": {
            "verb": self.verb, "group": self.group, "resource": resource, "subresource": sub, "namespace": self.namespace,
            "name": self.name}}

    def thing(self) -> str:
        return ".".join(filter(None, [self.resource, self.group]))


def questions(admin: Api, namespaces: list[str], names: list[str]) -> Iterator[Question]:
    """Every verb on every resource there is: in each of these namespaces, on any object and on each of these names."""
    asked = [(verb, *resource) for resource in sorted(resources(admin)) for verb in VERBS]
    for verb, group, resource, namespaced in [*asked, *SPECIAL]:
        yield Question(verb, group, resource)
        for namespace in namespaces if namespaced else [""]:
            for name in ["", *names] if namespaced else names:
                yield Question(verb, group, resource, namespace, name)


def resources(admin: Api) -> set[tuple[str, str, bool]]:
    """Group, resource and whether it is in namespaces; subresources too."""
    versions = ["/api/v1", *(f"/apis/{version['groupVersion']}" for group in admin.get("/apis")["groups"]
                             for version in group["versions"])]
    found = set()
    for version in versions:
        group = version.split("/")[2] if version.startswith("/apis") else ""
        found |= {(group, one["name"], one["namespaced"]) for one in admin.get(version)["resources"]}
    return found


def allowed(who: Api, asked: Iterable[Question]) -> list[str]:
    """What is allowed, as lines: where, what, which, verbs."""
    verbs: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    with who.connection() as connection:
        for question in asked:
            if may(who, connection, question.attributes()):
                verbs[question.namespace, question.thing(), question.name].append(question.verb)
        paths = [path for path in PATHS if may(who, connection, {"nonResourceAttributes": {"verb": "get", "path": path}})]
    lines = [
        f"{place or 'cluster'}: {thing}{' ' + name if name else ''}: {' '.join(more)}"
        for (place, thing, name), found in verbs.items()
        if (more := [verb for verb in found if verb not in wider(verbs, place, thing, name)])
    ]
    return sorted([*lines, *(f"get {path}" for path in paths)])


def wider(verbs, place: str, thing: str, name: str) -> set[str]:
    """What is allowed on any such object there, or in the whole cluster: it need not be said again."""
    others = {(place, thing, ""), ("", thing, "")} - {(place, thing, name)}
    return {verb for other in others for verb in verbs.get(other, [])}


def may(who: Api, connection, attributes: dict) -> bool:
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": attributes}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    return who.ask(connection, "POST", path, review)["status"]["allowed"]
