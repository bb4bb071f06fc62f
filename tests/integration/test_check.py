# SPDX-License-Identifier: Apache-2.0
"""kontord --check: each broken configuration is refused with file:line, what is wrong and what to do, and nothing is touched."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from kontor_instance import BUILD, TOP    # noqa: E402

UNIT, SITE, MAIN = "units/all.conf", "conf.d/site.conf", "kontord.conf"
DEV, USERS, MONEY, SG, BANK = ("datacenters/dev.conf", "users.conf", "currencies.conf", "regions/SG.conf",
                               "profiles/pain001.conf")
ALL = 'plugins = {"idgen", "upload", "settlement", "payout", "safefile"}\n'
REGION = 'region "%s" {\n zone = "%s"\n first_window = "%s"\n home = "%s"\n currencies = {%s}\n}\n'
KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"  # the example of ZeroMQ's RFC 32
PROFILE = """profile "pain001" {
 format = "pain.001.001.09"
 debtor_name = "Example"
 debtor_iban = "DE89370400440532013000"
 debtor_bic = "COBADEFFXXX"
}
"""


def region(code="SG", zone="Asia/Singapore", first="2026-W01", home="dev", currencies='"SGD"'):
    return REGION % (code, zone, first, home, currencies)


KEY, SECRET = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
CERTIFICATE = f'metadata\ncurve\n    public-key = "{KEY}"\n    secret-key = "{SECRET}"\n'


def own_key(what, text, says, mode=0o600):
    """A key file that cannot be used."""
    return site(what, 'key_file = "{conf}/unit.key_secret"\n', 1, says, files={"unit.key_secret": text},
                modes={"unit.key_secret": mode})


class Case:
    """One broken configuration: the shipped one with `file` replaced (text, bytes, or None: removed), and where and what the
    report must say. {conf} in a text is the configuration's folder."""

    def __init__(self, what, file, text, line, says, **more):
        self.what, self.files, self.place, self.line, self.says = what, {file: text}, file, line, says
        self.files.update(more.pop("files", {}))
        self.place = more.pop("place", self.place)
        self.arguments = more.pop("arguments", [])
        self.modes = more.pop("modes", {})
        assert not more, more


def site(what, text, line, says, **more):
    return Case(what, SITE, 'datacenter = "dev"\n' + text, line + 1, says, **more)


CASES = [
    # the text itself
    site("an option that is nearly one", "log_levl = info\n", 1, "unknown option 'log_levl'; did you mean 'log_level'?"),
    site("an option that is like none", "\n\ncolour = red\n", 3, "unknown option 'colour'; see those in force: kontord --dump-config"),
    site("a block that is nearly one", 'plugn "idgen" {\n}\n', 1, "unknown block 'plugn'; did you mean 'plugin'?"),
    site("a block without a name", "plugin {\n workers = 2\n}\n", 1, 'a block \'plugin\' needs a name: plugin "NAME" {'),
    site("a brace missing at the end of the file", 'plugin "idgen" {\n slots = 1\n', 2,
         "still open at the end of the file: '}' is missing"),
    site("a list that is not closed", 'bind = {"ipc:///tmp/a.sock"\n', 1, "is a '}' missing?"),
    site("a brace too many", "log_level = info\n}\n", 2, "this '}' closes no block: remove it"),
    site("an equal sign missing", 'log_level "info"\n', 1, "'log_level' needs '= value'"),
    site("a string that is not closed", 'log_level = "info\n\n', 1, "the string that begins here is not closed"),
    site("a comment that is not closed", "\n/* and so on\n\n", 2, "'*/' is missing"),
    site("an environment variable", 'log_level = "${LEVEL}"\n', 1, "is not replaced here: write the value itself"),
    site("an option twice in a file", "log_level = info\nlog_level = debug\n", 2, "is set twice in this file, first in line 2: leave one out"),
    site("a block twice in a file", 'lane "file" { threads = 1 }\nlane "file" { threads = 2 }\n', 2,
         "stands in this file already: write all its options into one"),
    site("an include of a missing file", 'include("other.conf")\n', 1, "there is no 'include': files *.conf in conf.d/"),
    site("a NUL byte", "# fine\nlog_level = \0info\n", 2, "is no UTF-8 text here: save the file as UTF-8"),
    Case("Latin-1 letters", USERS, b'# users\n# Zo\xeb\nuser "zoe" { uid = 5 roles = {"viewer"} }\n', 2,
         "is no UTF-8 text here: save the file as UTF-8"),
    site("a very long line with a slip at its end", "# " + "x" * 200000 + "\nlog_level = " + "y" * 300 + "\n", 2, "must be one of"),
    Case("a file of more than a mebibyte", MONEY, "#" * (1 << 20) + "\n", None, "is no regular file of at most 1 MiB"),
    Case("a folder where a file should be", "conf.d/folder.conf/x", "", None, "is no regular file",
         place="conf.d/folder.conf"),
    Case("no kontord.conf", MAIN, None, None, "cannot be read: No such file"),

    # types and ranges
    site("a duration without its unit", "drain_timeout = 20\n", 1, "must be a duration with its unit, like 500ms, 30s"),
    site("a duration with a wrong unit", "drain_timeout = 20sec\n", 1, "must be a duration with its unit"),
    site("a duration out of range", "drain_timeout = 2h\n", 1, "must be between 0ms and 3600000ms"),
    site("a size that is none", 'plugin "upload" {\n queue_bytes = 4XB\n}\n', 2, "must be a size, like 512, 64KiB, 4MiB"),
    site("a size that is too small", 'plugin "upload" {\n queue_bytes = 1KiB\n}\n', 2, "must be between 65536 bytes and"),
    site("a number that is none", 'plugin "upload" {\n workers = many\n}\n', 2, "must be a whole number"),
    site("a number out of range", 'plugin "upload" {\n workers = 0\n}\n', 2, "must be between 1 and 64"),
    site("a number beyond 64 bits", 'plugin "upload" {\n workers = 99999999999999999999\n}\n', 2, "must be a whole number"),
    site("a list where one value belongs", 'plugin "upload" {\n workers = {1, 2}\n}\n', 2, "takes one value, not a list: leave the braces out"),
    site("a choice that is none", "approvals = maybe\n", 1, "must be one of untrusted|trusted"),
    site("neither yes nor no", 'service "payout" {\n enabled = perhaps\n}\n', 2, "must be yes or no"),

    # units and plugins
    Case("an unknown plugin", UNIT, '# everything\nplugins = {"idgen", "payuot"}\n', 2, "did you mean 'payout'?"),
    Case("a plugin that is listed twice", UNIT, 'plugins = {"idgen", "idgen"}\n', 1, "is listed twice: leave it out"),
    Case("a plugin that is built in", UNIT, 'plugins = {"idgen", "jobs"}\n', 1, "is built in: leave it out"),
    Case("no name of a plugin", UNIT, 'plugins = {"../idgen"}\n', 1, "is no name of a plugin: it must be [a-z0-9]"),
    Case("a unit without plugins", UNIT, "# nothing\n", 1, "'plugins' is not set: plugins of this unit; write it here"),
    Case("an empty list of plugins", UNIT, "plugins = {}\n", 1, "'plugins' is not set"),
    Case("a unit that is not there", UNIT, ALL, None, "there is no unit 'al'; there are: all, idgen", place=None,
         arguments=["--unit", "al"]),
    Case("no name of a unit", UNIT, ALL, None, "'../all' is no name of a unit", place=None,
         arguments=["--unit", "../all"]),
    site("a plugin's block under a slip of its name", 'plugin "idegn" {\n slots = 2\n}\n', 3, 'did you mean "idgen"?'),
    site("a plugin's option that is nearly one", 'plugin "idgen" {\n slot = 2\n}\n', 2,
         "unknown option 'slot' in plugin \"idgen\"; did you mean 'slots'?"),
    site("a plugin's option out of range", 'plugin "idgen" {\n slots = 9\n}\n', 2, "must be between 1 and 8"),
    site("a plugin's choice that is none", 'plugin "idgen" {\n claim = "later"\n}\n', 2, "must be one of manual|auto"),
    site("what a plugin itself refuses", 'plugin "idgen" {\n peers = {"idgen.sock"}\n}\n', 3,
         'peers: "idgen.sock" is no endpoint: write ipc:///'),
    site("a service by tcp, and no key to call it with",
         f'service "settlement" {{\n endpoints = {{"tcp://db1:7411"}}\n server_keys = {{\'{KEY}\'}}\n}}\n', 2,
         'plugin "payout" calls service "settlement" by tcp, which needs the unit\'s own key', files={UNIT: 'plugins = {"payout"}\n'}),
    site("a peer by tcp without its key", 'plugin "idgen" {\n peers = {"tcp://10.1.2.3:7701"}\n}\n', 3,
         "0 peer_keys for 1 peers by tcp: write one for all of them, or one for each"),
    site("a peer's key that is none", 'plugin "idgen" {\n peers = {"tcp://10.1.2.3:7701"}\n peer_keys = {"secret"}\n}\n', 4,
         "peer_keys: 'secret' is no public key"),
    Case("plugins that call each other in a circle", UNIT, '\nplugins = {"circle-a"}\n', 2,
         "plugins call each other in a circle: circle-a -> circle-b -> circle-c -> circle-a",
         arguments=["--plugins", str(BUILD / "host/tests/plugins")]),
    Case("a plugin of another ABI", UNIT, 'plugins = {"old-major"}\n', 1, "ABI",
         arguments=["--plugins", str(BUILD / "host/tests/plugins")]),
    Case("a plugin under another name than its own", UNIT, 'plugins = {"other-name"}\n', 1, "other-name",
         arguments=["--plugins", str(BUILD / "host/tests/plugins")]),
    Case("a file that is no plugin", UNIT, 'plugins = {"no-entry"}\n', 1, "no-entry",
         arguments=["--plugins", str(BUILD / "host/tests/plugins")]),

    # lanes, endpoints, services
    site("an unknown lane", 'lane "setle" { threads = 1 }\n', 1, 'unknown lane "setle"; did you mean "settle"?'),
    site("a lane without threads", 'lane "settle" {\n threads = 0\n}\n', 2, "must be between 1 and 64"),
    site("an endpoint that is none", 'bind = {"/run/kontor/x.sock"}\n', 1, "must be ipc:// and an absolute path"),
    site("a relative ipc path", 'bind = {"ipc://x.sock"}\n', 1, "must be ipc:// and an absolute path"),
    site("tcp without the unit's own key", 'bind = {"tcp://127.0.0.1:7701"}\n', 1, "make one with `kontor keys generate`"),
    site("tcp without a port", 'bind = {"tcp://127.0.0.1"}\n', 1, "or tcp://ADDRESS:PORT"),
    site("tcp at a port that is none", 'bind = {"tcp://127.0.0.1:70000"}\n', 1, "or tcp://ADDRESS:PORT"),
    site("an ipc path of 108 bytes", 'bind = {"ipc:///%s"}\n' % ("x" * 107), 1, "has 108 bytes, at most 107 are possible"),
    site("an endpoint twice", 'bind = {"ipc:///tmp/a.sock", "ipc:///tmp/a.sock"}\n', 1, "is listed twice: leave it out"),
    site("the unit's own endpoint", 'bind = {"ipc://{conf}/run/all.sock"}\n', 1, "answers there anyway: leave it out"),
    Case("a runtime folder that is too deep", UNIT, ALL, None, "use a shorter runtime folder", place=None,
         arguments=["--runtime", "/tmp/" + "r" * 100]),
    site("approvals = trusted beside the network", 'approvals = trusted\nbind = {"tcp://0.0.0.0:7701"}\n', 2,
         "approvals = trusted believes whoever names himself"),
    site("a service under a slip of its name", 'service "paiout" {\n enabled = no\n}\n', 3, 'did you mean "payout"?'),
    site("a service's endpoint under its old name", 'service "payout" {\n endpoint = "ipc:///run/x.sock"\n}\n', 2,
         "unknown option 'endpoint' in service \"payout\"; did you mean 'endpoints'?"),
    site("a service's endpoint that is none", 'service "payout" {\n endpoints = {"payout.sock"}\n}\n', 2,
         "must be ipc:///FOLDER/UNIT.sock or tcp://HOST:PORT"),
    site("a service's endpoint without a port", 'service "payout" {\n endpoints = {"tcp://db1"}\n}\n', 2,
         "must be ipc:///FOLDER/UNIT.sock or tcp://HOST:PORT"),
    site("a service's ipc path of 108 bytes", 'service "payout" {\n endpoints = {"ipc:///%s"}\n}\n' % ("x" * 107), 2,
         "has 108 bytes, at most 107"),
    site("a service's endpoint twice", 'service "payout" {\n endpoints = {"ipc:///a.sock", "ipc:///a.sock"}\n}\n', 2,
         "endpoint ipc:///a.sock is listed twice"),
    site("a service over tcp without a key", 'service "payout" {\n endpoints = {"tcp://db1:7411"}\n}\n', 2,
         "has tcp endpoints without server_keys"),
    site("server keys for nobody", "service \"payout\" {\n server_keys = {'%s'}\n}\n" % KEY, 2, "but no tcp endpoint"),
    site("two server keys for three endpoints", "service \"payout\" {\n endpoints = {%s}\n server_keys = {'%s', '%s'}\n}\n" % (
        ", ".join(f'"tcp://db{n}:7411"' for n in range(3)), KEY, KEY), 3, "2 server_keys for 3 tcp endpoints"),
    site("a server key that is cut off", "service \"payout\" {\n endpoints = {\"tcp://db1:7411\"}\n server_keys = {'%s'}\n}\n"
         % KEY[:-1], 3, "is no public key: it must be the 40 characters"),

    # datacenters
    Case("no datacenter", SITE, "# nothing\n", 1, "'datacenter' is not set: name of the datacenter", place=UNIT),
    Case("a datacenter that is not there", SITE, '\ndatacenter = "def"\n', 2, "there is no datacenter 'def'; there are: dev"),
    Case("no name of a datacenter", SITE, 'datacenter = "De v"\n', 1, "is no name of a datacenter: it must be [a-z0-9]"),
    Case("a datacenter without id", DEV, 'datacenter "dev" {\n}\n', 2, "datacenter \"dev\" needs 'id': 1 to 15"),
    Case("a datacenter's file without its block", DEV, "# later\n", 1, 'datacenter "dev" { id = NUMBER }'),
    Case("id 0", DEV, 'datacenter "dev" {\n id = 0\n}\n', 2, "must be between 1 and 15"),
    Case("id 16", DEV, 'datacenter "dev" {\n id = 16\n}\n', 2, "must be between 1 and 15"),
    Case("two datacenters with one id", "datacenters/fra2.conf", '# the second\ndatacenter "fra2" {\n id = 1\n}\n', 3,
         'datacenters "fra2" and "dev" have the same id 1'),
    Case("another datacenter's service that nobody could call", "datacenters/fra2.conf",
         'datacenter "fra2" {\n id = 2\n}\nservice "payout" {\n endpoints = {"tcp://db1:7411"}\n}\n', 5,
         "has tcp endpoints without server_keys"),
    Case("another datacenter's file is broken", "datacenters/fra2.conf", 'datacenter "fra2" {\n id = 2\n', 2,
         "'}' is missing"),
    Case("a datacenter in another one's file", DEV, 'datacenter "dev" { id = 1 }\ndatacenter "fra2" { id = 2 }\n', 2,
         "belongs into datacenters/fra2.conf"),
    Case("an unknown fallback", DEV, 'datacenter "dev" {\n id = 1\n fallback = "fra2"\n}\n', 3, "there is no datacenters/fra2.conf"),
    Case("a fallback to itself", DEV, 'datacenter "dev" {\n id = 1\n fallback = "dev"\n}\n', 3, "is this datacenter itself"),

    # regions and currencies
    Case("a region in small letters", SG, region(code="sg"), 6, "'sg' is no region: it must be two capital letters"),
    Case("an unknown time zone", SG, region(zone="Asia/Singapur"), 2, 'region "SG": time zone "Asia/Singapur"'),
    Case("a time zone outside of the zone folder", SG, region(zone="../../etc/passwd"), 2, '"../../etc/passwd" is no name of a time zone such as Asia/Singapore'),
    Case("a week that its year does not have", SG, region(first="2027-W53"), 3, "must be an ISO week that exists, like 2026-W01"),
    Case("a date as window", SG, region(first="2026-01-05"), 3, "must be an ISO week that exists, like 2026-W01"),
    Case("a home that is no datacenter", SG, region(home="def"), 4, "there is no datacenters/def.conf; did you mean 'dev'?"),
    Case("a currency that is not described", SG, region(currencies='"SGD", "CHF"'), 5, "add it to currencies.conf"),
    Case("a currency twice in a region", SG, region(currencies='"SGD", "SGD"'), 5, "has currency SGD twice: leave one out"),
    Case("a region without its zone", SG, region().replace(' zone = "Asia/Singapore"\n', ""), 5, "region \"SG\" needs 'zone'"),
    Case("a region in two files", "regions/Singapore.conf", region(), 6, 'region "SG" is described in'),
    Case("a currency of four letters", MONEY, 'currency "EURO" { exponent = 2 }\n', 1, "three capital letters of ISO 4217",
         files={SG: region()}),
    site("a currency without exponent", 'currency "CHF" {\n}\n', 2, "currency \"CHF\" needs 'exponent': minor digits"),
    site("an exponent of 5", 'currency "CHF" {\n exponent = 5\n}\n', 2, "must be between 0 and 4"),
    site("a payment unit of 0", 'currency "CHF" {\n exponent = 2\n payment_unit = 0\n}\n', 3, "must be between 1 and 1000000"),

    # users
    Case("a uid twice", USERS, 'user "ann" { uid = 7 roles = {"viewer"} }\nuser "bob" { uid = 7 roles = {"viewer"} }\n', 2,
         'users "ann" and "bob" have the same uid 7: each needs its own'),
    Case("an unknown role", USERS, 'user "ann" {\n uid = 7\n roles = {"boss"}\n}\n', 3, "there are viewer, operator, approver"),
    Case("no role", USERS, 'user "ann" {\n uid = 7\n}\n', 3, "user \"ann\" needs 'roles'"),
    Case("a negative uid", USERS, 'user "ann" {\n uid = -2\n roles = {"viewer"}\n}\n', 2, "must be between 0 and 4294967294"),
    Case("a login beside a uid", USERS, 'user "ann" {\n uid = 7\n login = "root"\n roles = {"viewer"}\n}\n', 3,
         "has a login and a uid: keep one of the two"),
    Case("a key that is none", USERS, 'user "ann" {\n roles = {"viewer"}\n keys = {\'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf\'}\n}\n', 3,
         "is no public key: it must be the 40 characters of public-key"),
    Case("a user's key twice", USERS, f'user "ann" {{\n roles = {{"viewer"}}\n keys = {{\'{KEY}\', \'{KEY}\'}}\n}}\n', 3,
         'user "ann" has the key'),
    Case("a key of two users", USERS, "".join(f'user "{name}" {{ roles = {{"viewer"}} keys = {{\'{KEY}\'}} }}\n'
                                              for name in ("zoe", "ann")), 2, 'users "zoe" and "ann" have the same key'),
    Case("a key in double quotes, where ${ is read", USERS, 'user "ann" { keys = {"%s"} roles = {"viewer"} }\n' %
         KEY.replace("{hID", "${hI"), 1, "is not replaced here: write the value itself"),
    Case("a revoked key that is none", "revoked-keys", f"# lost laptops\n{KEY} # ann's\n{KEY[:39]}\n", 3, "is no public key"),

    # the unit's own key
    own_key("a key file that everybody may read", CERTIFICATE, "every user of the machine may open this secret", 0o644),
    own_key("a key file without a key", "# later\n", "holds no key pair: it must be the .key_secret file"),
    own_key("a public key file as the unit's own", CERTIFICATE.replace(f'secret-key = "{SECRET}"', ""), "holds no key pair"),
    own_key("a key file with halves of two pairs", CERTIFICATE.replace(SECRET, "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"),
            "its public key does not belong to its secret key"),
    site("a key file that is not there", 'key_file = "{conf}/unit.key_secret"\n', 1, "No such file or directory: put the file there"),
    Case("a user's name that is too long", USERS, 'user "%s" { uid = 7 roles = {"viewer"} }\n' % ("a" * 200), 1, "is no user name"),

    # profiles
    Case("a profile's key that is nearly one", BANK, PROFILE.replace("debtor_bic", "debtor_bik"), 5,
         "unknown option 'debtor_bik' in profile \"pain001\"; did you mean 'debtor_bic'?"),
    Case("a profile without the payer", BANK, PROFILE.replace(' debtor_name = "Example"\n', ""), 5, "needs 'debtor_name'"),
    Case("a format that cannot be written", BANK, PROFILE.replace("001.09", "001.03"), 2, "must be one of pain.001.001.09"),
    Case("an unknown charge bearer", BANK, PROFILE.replace("}", ' charge_bearer = "OURS"\n}'), 6, "must be one of DEBT|CRED|SHAR|SLEV"),
    Case("names that are longer than ISO 20022 allows", BANK, PROFILE.replace("}", " name_limit = 141\n}"), 6,
         "must be between 1 and 140"),
    Case("files without payments", BANK, PROFILE.replace("}", " max_payments = 0\n}"), 6, "must be between 1 and 1000000"),

    # faults
    site("a fault for no call", 'fault "f" {\n method = "idgen"\n kind = "delay"\n}\n', 2, "must be service.method, like idgen.next"),
    site("a fault without its kind", 'fault "f" {\n method = "idgen.*"\n}\n', 3, "fault \"f\" needs 'kind'"),
    site("a fault of an unknown kind", 'fault "f" {\n method = "*"\n kind = "drop"\n}\n', 3,
         "must be one of error|delay|drop-request|drop-reply"),
    site("a fault with an unknown code", 'fault "f" {\n method = "*"\n kind = "error"\n code = "EBUSY"\n}\n', 4, "must be one of BUSY|"),
    site("a fault that hits nobody", 'fault "f" {\n method = "*"\n kind = "error"\n percent = 0\n}\n', 4, "must be between 1 and 100"),
    site("a fault with a relative trigger", 'fault "f" {\n method = "*"\n kind = "error"\n trigger = "f"\n}\n', 4,
         "must be an absolute path"),
    site("a fault under no name", 'fault "F 1" { method = "*" kind = "error" }\n', 1, "is no name of a fault"),

    # database, files that are named, secrets
    site("a database's name that needs quotes", 'database "main" {\n name = "kontor-1"\n}\n', 2, "must be [a-z0-9_]{1,64}"),
    site("a second database", 'database "other" { name = "x" }\n', 1, 'unknown database "other": there is only "main"'),
    site("a port out of range", 'database "main" {\n port = 70000\n}\n', 2, "must be between 1 and 65535"),
    site("a server by network without its authority", 'database "main" {\n host = "db1.example.org"\n}\n', 2, "tls_ca must name"),
    site("an authority that is not there", 'database "main" {\n tls_ca = "{conf}/ca.pem"\n}\n', 2,
         "No such file or directory: put the file there, or correct the path"),
    site("a relative path", 'database "main" {\n password_file = "password"\n}\n', 2, "must be an absolute path"),
    site("a secret that is not there", 'database "main" {\n password_file = "{conf}/password"\n}\n', 2,
         "No such file or directory: put the file there"),
    site("a secret that everybody may read", 'database "main" {\n password_file = "{conf}/password"\n}\n', 2,
         "every user of the machine may open this secret (mode 0644): chmod 600", files={"password": "x\n"},
         modes={"password": 0o644}),
    site("a signing key that everybody may read", 'plugin "safefile" {\n key_file = "{conf}/key.pem"\n}\n', 2, "chmod 600",
         files={"key.pem": "x\n"}, modes={"key.pem": 0o604}),
    site("a secret that is a folder", 'plugin "safefile" {\n key_file = "{conf}/regions"\n}\n', 2, "must be a regular file"),
    site("a relative folder", 'plugin "safefile" {\n folder = "files"\n}\n', 2, "must be an absolute path"),
]

HINTS = re.compile(r"must|needs |did you mean|there (are|is) |leave|remove|write|save|add |belongs|use |missing|rebuild|give|put "
                   r"|chmod|make |rename|see those|keep |is it really|export|such as|is the name right")
ALLOWED_OPEN = re.compile(r"O_RDONLY")
TOUCHING = ("socket,connect,bind,sendto,sendmsg,mkdir,mkdirat,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,"
            "symlinkat,truncate,ftruncate,chmod,fchmod,fchmodat,chown,fchown,fchownat,mknod,mknodat,kill,tgkill,execve,utimensat,"
            "write,writev,pwrite64,open,openat,creat,flock,clone,clone3,fork,vfork")


class Check(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kontor-check-"))
        self.conf = self.folder / "conf"
        self.fresh()

    def tearDown(self):
        shutil.rmtree(self.folder)

    def fresh(self):
        shutil.rmtree(self.conf, ignore_errors=True)
        shutil.copytree(TOP / "conf", self.conf)
        self.write(SITE, 'datacenter = "dev"\n')

    def write(self, name, text):
        path = self.conf / name
        if text is None:
            path.unlink()
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.replace("{conf}", str(self.conf)).encode())

    def command(self, *arguments):
        own = {"--unit": "all", "--conf": self.conf, "--runtime": self.conf / "run", "--state": self.conf / "state",
               "--plugins": BUILD / "plugins"}
        own.update(zip(arguments[::2], arguments[1::2]))
        return [str(word) for word in (BUILD / "bin/kontord", "--check", *sum(own.items(), ()))]

    def check(self, *arguments):
        done = subprocess.run(self.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=120)
        # log lines are no problems: the shipped users.conf names an account that only a machine with the packages has
        done.stderr = "".join(line for line in done.stderr.splitlines(True) if not re.match(r"<\d>ts=", line))
        return done

    def tree(self):
        return sorted((str(path.relative_to(self.folder)), path.lstat().st_mtime_ns, path.lstat().st_mode)
                      for path in self.folder.rglob("*"))

    def test_the_shipped_configuration_is_fine(self):
        for unit in ("all", "idgen", "upload", "settlement", "payout", "safefile"):
            done = self.check("--unit", unit)
            self.assertEqual((done.returncode, done.stderr), (0, ""), unit)

    def test_each_broken_configuration_is_refused_where_it_is_broken(self):
        for case in CASES:
            with self.subTest(case.what):
                self.fresh()
                for name, text in case.files.items():
                    self.write(name, text)
                for name, mode in case.modes.items():
                    (self.conf / name).chmod(mode)
                before = self.tree()
                done = self.check(*case.arguments)
                self.assertEqual(self.tree(), before, "the check changed a file")
                self.assertEqual(done.returncode, 1, done.stderr)
                lines = [line for line in done.stderr.splitlines() if case.says in line]
                self.assertTrue(lines, f"wanted: {case.says}\n{done.stderr}")
                place = f"{self.conf}/{case.place}" if case.place else ""
                where = f"{place}:{case.line}: " if case.line else f"{place}: " if place else ""
                self.assertTrue(lines[0].startswith(where), f"wanted at {where}\n{done.stderr}")
                for line in done.stderr.splitlines()[:-1]:
                    self.assertRegex(line, HINTS, "the message does not say what to do")

    def test_there_are_enough_cases_and_nearly_all_name_a_line(self):
        self.assertGreaterEqual(len(CASES), 100)
        self.assertGreaterEqual(sum(1 for case in CASES if case.line), 95)
        self.assertEqual(len({case.what for case in CASES}), len(CASES))

    def test_all_faults_are_reported_at_once(self):
        self.write(SITE, 'datacenter = "dev"\nlog_levl = info\nlane "setle" { threads = 1 }\n')
        self.write(USERS, 'user "ann" { uid = 7 roles = {"boss"} }\n')
        self.write(SG, region(zone="Asia/Nowhere", home="def"))
        error = self.check().stderr
        for place in (f"{SITE}:2: ", f"{SITE}:3: ", f"{USERS}:1: ", f"{SG}:2: ", f"{SG}:4: "):
            self.assertIn(place, error)
        self.assertIn("has 5 problems", error)

    def test_a_check_touches_nothing(self):
        """By the kernel's record of its system calls: no socket, no file made, changed or removed, no process started."""
        record = self.folder / "record"
        trace = ["strace", "-f", "-qq", "-e", "trace=" + TOUCHING, "-o", str(record)]
        try:
            works = subprocess.run([*trace, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        except FileNotFoundError:
            self.skipTest("strace is not installed")
        if works.returncode != 0:
            self.skipTest("this machine allows no strace")
        if os.environ.get("ASAN_OPTIONS", "") or os.environ.get("TSAN_OPTIONS", ""):
            self.skipTest("a sanitizer's runtime has system calls of its own")
        for wrong in ("", "log_levl = info\n"):
            self.write(SITE, 'datacenter = "dev"\ndatabase "main" { socket = "/nonexistent.sock" }\n' + wrong)
            subprocess.run([*trace, *self.command()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
            calls = [line.split(None, 1)[1] for line in record.read_text().splitlines()]
            opened = [call for call in calls if call.startswith(("open(", "openat("))]
            self.assertTrue(any("kontord.conf" in call for call in opened), "strace recorded nothing")
            written = [call for call in calls if call.startswith("write") and not re.match(r"writev?\([12],", call)]
            others = [call for call in calls if not call.startswith(("open", "write", "execve", "+++", "---"))]
            self.assertEqual([call for call in opened if not ALLOWED_OPEN.search(call)], [])
            self.assertEqual(written, [])
            self.assertEqual(others, [])
            self.assertEqual(sum(call.startswith("execve") for call in calls), 1)


if __name__ == "__main__":
    unittest.main()
