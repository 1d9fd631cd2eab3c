"""Follows docs/verify-by-hand.md to the letter: runs its blocks, in a folder with the two files, in a Python of its own.

by_hand.py PAGE VECTORS              on the bundle of the vectors, and on what must fail; prints a result line
by_hand.py PAGE BUNDLE TRUST NODE    on one bundle, with a node to ask for each anchor; prints what the page prints
"""

import copy
import json
import pathlib
import re
import subprocess
import sys
import tempfile

VERDICTS = {"verified": "Verified", "waiting": "Waiting for anchor", "cannot-check": "Cannot check", "not-verified": "NOT verified"}


def follow(blocks, bundle, trust, typed=""):
    """What the page says about these two files: its exit code, and its lines."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "access.sealproof.json").write_bytes(bundle)
        (folder / "trust.json").write_bytes(trust)
        (folder / "steps.py").write_text("\n".join(blocks), encoding="utf-8")
        # -I: nothing of this machine's packages or environment; -X utf8: as text is everywhere today.
        command = [sys.executable, "-I", "-X", "utf8", "steps.py"]
        done = subprocess.run(command, cwd=folder, input=typed, capture_output=True, encoding="utf-8", timeout=300, check=False)
        return done.returncode, done.stdout + done.stderr


def patched(document, patch):
    """The operations add, replace and remove of JSON Patch (RFC 6902)."""
    document = copy.deepcopy(document)
    for step in patch:
        *way, last = step["path"].split("/")[1:]
        parent = document
        for name in way:
            parent = parent[int(name) if isinstance(parent, list) else name]
        if isinstance(parent, dict):
            parent.pop(last, None)
            if step["op"] != "remove":
                parent[last] = step["value"]
        elif step["op"] == "add":
            parent.insert(len(parent) if last == "-" else int(last), step["value"])
        elif step["op"] == "replace":
            parent[int(last)] = step["value"]
        else:
            del parent[int(last)]
    return document


def files(document):
    spelled = json.dumps(document["bundle"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return spelled.encode(), json.dumps(document["trust"]).encode()


def answers(document):
    """What a reader types who looks up each anchor's block among those that the document vouches for."""
    vouched = {(block["chain_id"], block["number"]): block for block in document["blocks"]}
    for link in document["bundle"].get("anchors", []):
        block = vouched.get((link["anchor"]["chain_id"], link["anchor"]["block_number"]))
        if block is None:
            yield ""
        elif block["hash"] != link["anchor"]["block_hash"]:
            yield "no"
        else:
            yield "yes" if block["finality"] == "final" else "not yet"


def fault(blocks, document, case):
    """Why the page says something else of a case than it should; nothing where it does not."""
    whole = patched(document, case["patch"])
    code, said = follow(blocks, *files(whole), typed="".join(f"{answer}\n" for answer in answers(whole)))
    # The last line is the verdict, and what it names.
    verdict, _, named = said.strip().splitlines()[-1].partition(": ")
    expected = VERDICTS[case["expect"]["verdict"]]
    if verdict != expected or (code == 0) == (expected == "NOT verified") or not named and expected != "Verified":
        return f"{code}, not {expected}:\n{said}"
    return None


def changed_bits(blocks, document):
    """For some bits of the bundle: whether it passes though the bit is changed. The transaction is information only."""
    bundle, trust = files(document)
    typed = "".join(f"{answer}\n" for answer in answers(document))
    found = {}
    for bit in range(11, 8 * len(bundle), 8 * len(bundle) // 40 + 1):
        if re.search(rb'"transaction":"[0-9a-f]*$', bundle[: bit // 8]):
            continue
        changed = bytearray(bundle)
        changed[bit // 8] ^= 1 << bit % 8
        _, said = follow(blocks, bytes(changed), trust, typed)
        passed = said.strip().splitlines()[-1].startswith(("Verified", "Waiting"))
        found[f"bit {bit} changed"] = said if passed else None
    return found


def main():
    page, *rest = sys.argv[1:]
    blocks = re.findall(r"^```python\n(.*?)^```$", pathlib.Path(page).read_text(encoding="utf-8"), re.S | re.M)
    if len(rest) == 3:
        bundle, trust = (pathlib.Path(name).read_bytes() for name in rest[:2])
        code, said = follow(blocks, bundle, trust, typed=f"{rest[2]}\n" * 9)
        print(said)
        return code
    vectors = json.loads(pathlib.Path(rest[0]).read_text(encoding="utf-8"))
    whys = {case["why"]: fault(blocks, vectors["document"], case) for case in vectors["verifies"]}
    whys |= changed_bits(blocks, vectors["document"])
    for why, found in whys.items():
        if found:
            print(f"FAILED  by hand: {why}: {found}")
    failed = sum(1 for found in whys.values() if found)
    print(f"by-hand result: {'FAILED' if failed else 'ok'}. {len(whys) - failed} passed; {failed} failed; 0 skipped")
    return 1 if failed else 0


sys.exit(main())
