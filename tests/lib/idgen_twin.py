# SPDX-License-Identifier: Apache-2.0
"""The same datacenter id twice: a third database, bound to the id of the first datacenter."""
import time

from idgen_site import Database, Host, Refused

NOTICE_S = 20           # peers talk every 2 s; the machine may be busy


def same_datacenter_twice(rig):
    """What is wrong. The rig's clients have ended: the ids of the twin are duplicates until both sides notice."""
    first = rig.datacenters[0]
    options = {"claim": "auto", "window": "6s"}
    database = Database(rig.folder / "twin-db", rig.template).up()
    twin = Host(rig.folder / "twin", database, first.number, {**options, "peers": [host.endpoint for host in first.hosts]})
    try:
        twin.migrate()
        wrong = refuses_to_start(rig, twin)
        twin.configure(options)                                     # without peers it cannot know
        return wrong + both_sides_stop(rig, twin, first)
    finally:
        twin.kill()
        database.remove()


def refuses_to_start(rig, twin):
    """It ends; or, when no peer answered in the second that a start waits for them, it gives no ids as soon as one does."""
    rig.say(f"a twin of datacenter id {twin.datacenter} starts, and its peers are there")
    twin.start()
    end = time.monotonic() + NOTICE_S
    while twin.process.poll() is None and not refusal(twin) and time.monotonic() < end:
        time.sleep(0.1)
    ended, refused = twin.process.poll(), refusal(twin)
    twin.kill()
    said = [line for line in twin.log_text().splitlines() if names_the_datacenter(twin, line)]
    if ended == 0 or (ended is None and not refused):
        return [f"a unit of a datacenter id that peers have goes on; its log ends: {twin.log_text()[-600:]}"]
    if not said:
        return [f"a unit of a datacenter id that peers have does not say why it ended; its log ends: {twin.log_text()[-600:]}"]
    rig.say(f"it {'ended' if ended else 'gives no ids'} and said: {said[-1]}")
    return []


def names_the_datacenter(host, text):
    return f"two databases give the ids of datacenter id {host.datacenter}" in text


def refusal(host):
    """Its answer, when it gives no ids because of the twin; else None."""
    try:
        host.ask("idgen.next", namespace="default")
    except Refused as refused:
        if names_the_datacenter(host, refused.message):
            return refused.message
    return None


def both_sides_stop(rig, twin, first):
    rig.say("the twin starts without peers; those of the first datacenter have it among theirs")
    hosts = {"the twin": twin, f"{first.name}a": first.hosts[0], f"{first.name}b": first.hosts[1]}
    twin.start()
    end = time.monotonic() + NOTICE_S
    refusals = {}
    while len(refusals) < len(hosts) and time.monotonic() < end:
        time.sleep(0.1)
        refusals = {name: refusal(host) for name, host in hosts.items() if refusal(host)}
    wrong = [f"{name} does not stop giving ids, and say why, beside a twin of its datacenter id"
             for name in hosts if name not in refusals]
    twin.stop()
    for host in first.hosts:                                        # what the operator does then
        host.stop()
        host.start()
    for host in first.hosts:
        try:
            host.await_ids(NOTICE_S)
        except Refused as refused:
            wrong.append(f"{host.folder.name}: no ids after the twin is gone and the unit was restarted: {refused}")
    if not wrong:
        rig.say(f"all three stopped; the twin said: {refusals['the twin']}")
    return wrong
