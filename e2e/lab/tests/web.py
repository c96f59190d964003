"""TCP as customers use it."""

from lab.lab import Lab
from lab.traffic import finish_download, start_download, web_server

SIZE = 50_000_000


def test_curl(lab: Lab):
    """two customers on one IPv4 address fetch a 50 MB file at the same time, and its checksum is right"""
    with lab.relay() as relay:
        url, digest = web_server(lab, SIZE)
        downloads = [start_download(lab, customer, url) for customer in lab.customers[:2]]
        for download in downloads:
            assert finish_download(*download) == digest, "the file came with another checksum"
        metrics = relay.metrics()
        carried = metrics.total("culvert_forwarded_bytes_total", direction="to_ce")
        assert carried > 2 * SIZE, f"only {carried} bytes are counted"
        assert metrics.drops() == {}, metrics.drops()
