"""Every relative link of the rendered docs leads to a file and an anchor: doc_links.py FOLDER

Rustdoc's own lints know links to items; this knows the rest, as a browser would follow them."""
import os
import re
import sys
from html.parser import HTMLParser
from urllib.parse import unquote


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.ids, self.links = set(), []
        with open(path, encoding="utf-8") as file:
            self.feed(file.read())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        if tag == "a":
            self.links.append(attributes.get("href") or "")


folder = sys.argv[1]
paths = (os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)
pages = {os.path.normpath(path): Page(path) for path in paths if path.endswith(".html")}
dead = []
for path, page in pages.items():
    for link in page.links:
        if re.match("[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        target = unquote(target.partition("?")[0])
        other = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
        # Lines of source get their anchors from a script.
        known = pages[other].ids if other in pages and "/src/" not in other else None
        if not os.path.exists(other):
            dead.append(f"{path}: {link}: no such file")
        elif anchor and known is not None and not {anchor, unquote(anchor)} & known:
            dead.append(f"{path}: {link}: no such anchor")
print(f"{len(pages)} pages, {sum(len(page.links) for page in pages.values())} links, {len(dead)} dead")
sys.exit("\n".join(dead) if dead or len(pages) < 100 else 0)
