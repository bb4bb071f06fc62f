# SPDX-License-Identifier: Apache-2.0
"""Makes a manual page (mdoc) of a template and the tables that a program prints as JSON.

usage: make_manual_page.py TEMPLATE OUTPUT PROGRAM [ARGUMENT...]

A template is mdoc; a line that is one of these words between two @ becomes what the tables say:
  version           the program's version
  options           a plugin's options          options BLOCK   options of a kind of block ("top": outside of blocks)
  methods           a plugin's methods          services        methods of the built-in services
  jobs, uploads     a plugin's kinds            arguments       kontord's command line
  commands          kontor's commands
"""
import json
import re
import subprocess
import sys

TYPES = {"int": "number", "bool": "yes or no", "string": "text", "name": "name", "file": "file", "secret": "file",
         "folder": "folder", "duration": "duration", "size": "size", "list": "{value, ...}", "enum": "choice"}


def escaped(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


def argument(text):
    """For a macro's line: what mdoc would take for a macro or a delimiter is quoted."""
    return '"' + escaped(text).replace('"', '\\(dq') + '"'


def prose(text):
    """A sentence a line, as mdoc wants it; the tables' help may lack a full stop."""
    text = (text or "").strip()
    if text and text[-1] not in ".!?:":
        text += "."
    return escaped(re.sub(r"(?<=[a-z0-9)`\"][.?!]) (?=[A-Z])", "\n", text)).split("\n") if text else []


def bullets(items):
    return [".Bl -tag -width Ds", *items, ".El"] if items else ["None."]


def limits(low, high, unit=""):
    return f"{low:,}{unit} to {high:,}{unit}" if low or high else ""


def option(row):
    shown = row["choices"].replace("|", " | ") if row["choices"] else TYPES[row["type"]]
    lines = [f".It Ic {argument(row['key'])} Li = Ar {argument(shown)}", *prose(row["help"])]
    unit = {"duration": " ms", "size": " bytes"}.get(row["type"], "")
    between = limits(row["min"], row["max"], unit)
    facts = [] if not between else [f"Range: {between}."]
    if row["default"] is None:
        facts.append("Required.")
    elif row["default"] == "" or (row["type"] == "int" and row["default"] == "-1"):
        facts.append("Default: not set.")
    else:
        facts.append(f"Default: {row['default']}.")
    facts.append("Taken on SIGHUP." if row["reloadable"] else "A change needs a restart.")
    return lines + [escaped(fact) for fact in facts]


def method(service, row):
    calls = {"public": "public: services and people", "operator": "operators: command line",
             "internal": "internal: units of Kontor only"}[row["visibility"]]
    who = [calls, f"least role {row['role']}"]
    if row["changes"]:
        who.append("changes something, so it needs an idempotency key")
    if row["inline"]:
        who.append("answered at once, without a worker")
    lines = [f".It Ic {argument(service + '.' + row['name'])}", *prose(row["help"]), escaped("; ".join(who).capitalize() + ".")]
    if row["arguments"]:
        lines.append(".Bl -tag -width Ds -compact")
        for arg in row["arguments"]:
            between = limits(arg["min"], arg["max"])
            kind = arg["type"] + (f", {between}" if between else "") + (", required" if arg["required"] else "")
            lines += [f".It Fa {argument(arg['name'])} Pq {argument(kind)}", *prose(arg["help"])]
        lines.append(".El")
    return lines


def methods(plugin):
    return bullets([line for row in plugin["methods"] for line in method(plugin["name"], row)])


def services(host):
    return [line for plugin in host["services"]
            for line in (f".Ss Service {plugin['name']}", *prose(plugin["summary"]), *methods(plugin))]


def jobs(plugin):
    return bullets([line for row in plugin["jobs"]
                    for line in (f".It Ic {argument(row['name'])} Pq {argument('lane ' + row['lane'])}", *prose(row["help"]))])


def uploads(plugin):
    lines = []
    for kind in plugin["uploads"]:
        lines += [f".It Ic {argument(kind['name'])}", *prose(kind["help"]), "Columns:", ".Bl -tag -width Ds -compact"]
        for column in kind["columns"]:
            needed = ' Pq "required"' if column["required"] else ""
            lines += [f".It Fa {argument(column['name'])}{needed}", *prose(column["help"])]
        lines.append(".El")
    return bullets(lines)


def arguments(host):
    lines = []
    for row in host["arguments"]:
        value = f" Ar {argument(row['value'])}" if row["value"] else ""
        lines += [f".It Fl {argument(row['name'][1:])}{value}", *prose(row["help"])]
    return bullets(lines)


def placeholder(arg):
    return "" if arg["type"] == "flag" else f" Ar {argument(arg['name'].lstrip('-').upper())}"


def command_entry(row):
    lines = [f".It Ic {argument('kontor ' + row['words'])}{' Ar ...' if row['more'] else ''}", *prose(row["help"])]
    if row["method"]:
        lines.append(f"Calls {escaped(row['method'])}.")
    if row["arguments"]:
        lines.append(".Bl -tag -width Ds -compact")
        for arg in row["arguments"]:
            name = arg["name"]
            word = f"Fl {argument(name[1:])}{placeholder(arg)}" if name.startswith("-") else f"Ar {argument(name)}"
            needed = ' Pq "required"' if arg["required"] else ""
            lines += [f".It {word}{needed}", *prose(arg["help"])]
        lines.append(".El")
    if row["example"]:
        lines += ["Example:", f".Dl {escaped(row['example'])}"]
    return lines


def commands(groups):
    lines = []
    for group in groups:
        name = group[0]["words"].split()[0]
        lines += [f".Ss {name}", *bullets([line for row in group for line in command_entry(row)])]
    return lines


def expand(words, tables):
    name, *rest = words.split()
    if name == "version":
        return [f"Version {tables['version']}."]
    if name == "options":
        rows = tables["blocks"][{"top": ""}.get(rest[0], rest[0])] if rest else tables["options"]
        return bullets([line for row in rows for line in option(row)])
    makers = {"methods": methods, "services": services, "jobs": jobs, "uploads": uploads, "arguments": arguments,
              "commands": commands}
    return makers[name](tables)


def main(template, output, *command_line):
    tables = json.loads(subprocess.run(command_line, stdout=subprocess.PIPE, check=True).stdout)
    page = []
    with open(template, encoding="utf-8") as file:
        for line in file.read().splitlines():
            marker = re.fullmatch(r"@([a-z ]+)@", line)
            page += expand(marker.group(1), tables) if marker else [line]
    with open(output, "w", encoding="utf-8") as file:
        file.write("\n".join(page) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
