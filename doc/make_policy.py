"""Writes config/security/policy.xml from the nodes themselves: what each may say, hear, offer and ask, and no more."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import rclpy
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node

sys.path.insert(0, str(Path(__file__).parent))

from make_nodes import NODES, node_class

from sketch_cell.files import write_whole

POLICY = Path(__file__).resolve().parents[1] / "config" / "security" / "policy.xml"
NOTE = """
     SROS 2 policy of a cell without a namespace, made by `python doc/make_policy.py` from the nodes;
     test/test_security.py keeps it true. doc/multi_host.md says how to use it and what it does not protect.
"""
# What every node says and hears besides its own topics.
ALWAYS = {"publish": {"/rosout", "/parameter_events"}, "subscribe": {"/clock", "/parameter_events"}}


def policy() -> str:
    """The whole policy as XML; needs an initialised rclpy."""
    root = ElementTree.Element("policy", version="0.2.0")
    root.append(ElementTree.Comment(NOTE))
    enclaves = ElementTree.SubElement(root, "enclaves")
    for name in NODES:
        node = node_class(name)()
        try:
            _add_profile(enclaves, f"/{name}", name, _rights(node))
        finally:
            node.destroy_node()
    everything = {"publish": {"*"}, "subscribe": {"*"}, "reply": {"*"}, "request": {"*"}}
    _add_profile(enclaves, "/", "operator", everything)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _rights(node: Node) -> dict[str, set[str]]:
    """What the node has, by the policy's own words."""
    said = {publisher.topic_name for publisher in node.publishers} | ALWAYS["publish"]
    if isinstance(node, LifecycleNode):
        said.add(f"/{node.get_name()}/transition_event")
    if node.get_name() == "recorder":  # it subscribes to what it finds
        return {"publish": said, "subscribe": {"*"}}
    return {
        "publish": said,
        "subscribe": {subscription.topic_name for subscription in node.subscriptions} | ALWAYS["subscribe"],
        "reply": {service.service_name for service in node.services},
        "request": {node.resolve_service_name(client.srv_name) for client in node.clients},
    }


def _add_profile(enclaves: ElementTree.Element, path: str, name: str, rights: dict[str, set[str]]) -> None:
    enclave = ElementTree.SubElement(enclaves, "enclave", path=path)
    profiles = ElementTree.SubElement(enclave, "profiles")
    profile = ElementTree.SubElement(profiles, "profile", ns="/", node=name)
    for kind, words in (("service", ("reply", "request")), ("topic", ("publish", "subscribe"))):
        for word in words:
            if rights.get(word):
                group = ElementTree.SubElement(profile, f"{kind}s", {word: "ALLOW"})
                for item in sorted(rights[word]):
                    ElementTree.SubElement(group, kind).text = item


if __name__ == "__main__":
    rclpy.init()
    write_whole(POLICY, policy())
    rclpy.try_shutdown()
