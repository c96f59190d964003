"""The words that conditions, events and `/state` give as reasons: in the code, and in docs/conditions."""

import re

from .markdown import REPOSITORY, Page

PAGES = REPOSITORY / "docs" / "conditions"

# Every such word stands in the code as it is, and so do others. These are the others: whatever else is added is a reason,
# and wants a page, until it is listed here.
OTHERS = {
    "operator/src": {
        "conditions and what they say": "Degraded True False PodScheduled ReplicaFailure",
        "an action": "Write",
        "kinds": "BorderRelay MapDomain NetworkAttachmentDefinition ReplicaSet ServiceAccount",
        "fields of pods": "Always AlwaysAllow CharDevice Exists IfNotPresent Memory Never NoExecute NoSchedule RollingUpdate"
                          " RuntimeDefault ScheduleAnyway Succeeded",
        "fields of network policies": "Egress Ingress",
        "families and sides": "Both IPv4 IPv6",
        "the usual way to start, which is no trouble": "ContainerCreating PodInitializing",
    },
    "relay/pod/src": {
        "where a revision is from": "Api Files LastGood Mounted",
        "families": "IPv4 IPv6",
    },
    "relay/daemon/src": {
        "families and sides": "Both IPv4 IPv6",
        "what a condition says": "True",
        "kinds": "BorderRelay MapDomain Pod",
        "how routes are announced": "Full Leaving Local",
        "why the TUN took no packet": "Down Invalid NoMemory Other",
        "the kernel's counters, and metrics of them": "IPReversePathFilter InNoRoutes Ip6InNoRoutes NoRoute ReversePath",
    },
    "relay/speaker/src": {
        "states of sessions, in BIRD's words": "Down Established Idle Routes Up",
    },
}

# What Kubernetes says of pods is handed on as it is; these have a section because they are met often.
OF_KUBERNETES = {
    "CrashLoopBackOff", "CreateContainerConfigError", "ErrImagePull", "Evicted", "ImagePullBackOff", "SysctlForbidden",
    "UnexpectedAdmissionError", "Unschedulable",
}

WORD = re.compile(r'"([A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*)"')
TESTS = re.compile(r"^#\[cfg\(test\)\]\n(?:pub(?:\(\w+\))? )?mod \w+ \{\n.*?^\}\n", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"^\s*//.*$", re.MULTILINE)


def words(folder: str) -> dict[str, str]:
    """The words in a folder's code but its tests, each with a file that has it."""
    found = {}
    for file in sorted((REPOSITORY / folder).rglob("*.rs")):
        if file.name not in ("tests.rs", "fixtures.rs"):
            code = COMMENT.sub("", TESTS.sub("", file.read_text()))
            found |= {word: str(file.relative_to(REPOSITORY)) for word in WORD.findall(code)}
    return found


def others(folder: str) -> set[str]:
    return {word for listed in OTHERS[folder].values() for word in listed.split()}


def in_code() -> dict[str, str]:
    """All reasons, each with a file that has it."""
    return {word: file for folder in OTHERS for word, file in words(folder).items() if word not in others(folder)}


def sections(pages: list[Page]) -> dict[str, tuple[Page, str, set[str]]]:
    """For each reason its page, the text of its section, and the languages of its code blocks."""
    found = {}
    for page in pages:
        if page.path.parent == PAGES:
            reasons = [heading for heading in page.headings if re.fullmatch(r"[A-Z]\w*[a-z]\w*", heading.text) and heading.level > 1]
            for heading in reasons:
                assert heading.text not in found, f"{page.name}:{heading.at}: {heading.text} has a section already"
                end = min((it.at for it in page.headings if it.at > heading.at), default=10**9)
                text = "\n".join(line for at, line in page.prose if heading.at < at < end)
                found[heading.text] = page, text, {block.info[0] for block in page.blocks if heading.at < block.at < end}
    return found
