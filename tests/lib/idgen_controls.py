# SPDX-License-Identifier: Apache-2.0
"""Schemes that are known to be wrong, in the rig of the id proof: a rig that finds no duplicate of theirs proves nothing."""
import time

from idgen_rig import Rig
from kontor_instance import BUILD


def instance_index(rig):
    """Two datacenters that both count their instances from 0: nothing has to go wrong."""
    rig.say("both datacenters count their instances from 0")


def unfenced_lease(rig):
    """A host stops beyond its lease; another one that starts meanwhile takes its number; the first one goes on."""
    for datacenter in rig.datacenters:
        datacenter.hosts[0].pause()
    time.sleep(2.5)                                                 # the lease is 2 s
    for datacenter in rig.datacenters:
        datacenter.hosts[1].kill()
        datacenter.hosts[1].start()
    for datacenter in rig.datacenters:
        datacenter.hosts[1].await_ids(30)
        datacenter.hosts[0].resume()
    rig.say("one host in each datacenter went on after its lease")


SHOWN_BY = ("duplicates", "consumed_twice")    # the interval check and the bitmap, each on its own
PATIENCE_S = 30
CONTROLS = {"instance_index": instance_index, "unfenced_lease": unfenced_lease}


def run_control(name, folder, seed, template, report):
    """(verdict, what is wrong: the rig must find duplicates)"""
    with Rig(folder, seed, template=template, plugins=BUILD / "proof/controls" / name, report=report) as rig:
        rig.add_clients()
        CONTROLS[name](rig)
        verdict = rig.judge(any_datacenter=True)[0]
        end = time.monotonic() + PATIENCE_S
        while not all(verdict[count] for count in SHOWN_BY) and time.monotonic() < end:
            time.sleep(0.5)
            verdict = rig.judge(any_datacenter=True)[0]             # while the clients go on
        rig.stop_clients()
        rig.say(f"wrong on purpose, {name}: {verdict['duplicates']:,} of {verdict['granted']:,} ids were given twice")
        wrong = list(rig.findings)
        for count in SHOWN_BY:
            if verdict[count] == 0:
                wrong.append(f"the scheme {name} gives ids twice, and the rig does not show it: {verdict}")
        return verdict, wrong
