# SPDX-License-Identifier: Apache-2.0
# Fills a template with what `gridmount --help` and fs/store/check.def say, so that neither is written twice:
#   awk -v version=V -v date=D -f packaging/from-help.awk HELP fs/store/check.def TEMPLATE
# A line of the template that is one of the keys of `sections` becomes that; the words within a line are @VERSION@, @DATE@.

function troff(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    return text ~ /^[.']/ ? "\\&" text : text
}

function quoted(text) {
    gsub(/'/, "'\\''", text)
    return text
}

function add(section, line) {
    sections[section] = sections[section] line "\n"
}

function option(left, help,    name, argument, words, description, action) {
    name = left
    sub(/=.*/, "", name)
    argument = substr(left, length(name) + 2)
    words = argument
    gsub(/\|/, " ", words)
    sub(/:[A-Z]+/, ":", words)
    add("@MAN_OPTIONS@", ".TP\n.B " troff(left) "\n" troff(help))
    add("@OPTIONS@", "    " (argument == "" ? name : name "="))
    action = argument ~ /\|/ ? "(" words ")" : argument == "DIR" ? "_files -/" : argument == "FILE" ? "_files" : " "
    if (argument ~ /\||^DIR$|^FILE$/)
        add("@VALUES@", "    " name ") " (argument ~ /\|/ ? "compgen -W '" words "'" : \
            "compgen -" (argument == "DIR" ? "d" : "f")) " -- \"$2\" ;;")
    description = help
    gsub(/\[|\]|:/, "\\\\&", description)
    add("@ZSH_OPTIONS@", "        '" name "[" quoted(description) "]" (argument == "" ? "" : ":value:" action) "'")
}

function end_command() {
    if (command == "")
        return
    add("@MAN_COMMANDS@", ".TP\n.B " troff(synopsis) (about == "" ? "\n\\&" : "\n" troff(about)))
    add("@COMMANDS@", "    " command)
    flags = ""
    text = synopsis
    while (match(text, /(^|[^-A-Za-z])--?[a-z]+/)) {
        word = substr(text, RSTART, RLENGTH)
        sub(/^[^-]/, "", word)
        flags = flags (flags == "" ? "" : " ") word
        text = substr(text, RSTART + RLENGTH)
    }
    if (command == "fsck")
        add("@FSCK@", ".B " troff(synopsis))
    if (flags != "")
        add("@FLAGS@", "    " command ") echo '" flags "' ;;")
    command = ""
}

FNR == 1 { file++ }

# HELP
file == 1 && /^  gridmount [a-z]/ {
    end_command()
    synopsis = substr($0, 3)
    about = ""
    if (match(synopsis, /     *[^ ]/) || match(synopsis, /\]   *[a-z]/)) {
        about = substr(synopsis, RSTART + 1)
        synopsis = substr(synopsis, 1, RSTART)
        sub(/^ */, "", about)
    }
    sub(/ *$/, "", synopsis)
    gsub(/  +/, " ", synopsis)
    command = $2
    next
}
file == 1 && /^                    / && command != "" {
    sub(/^ */, "")
    about = about (about == "" ? "" : " ") $0
    next
}
file == 1 && /^[^ ]|^$|^  gridmount --/ {
    end_command()
    part = /^Options:/ ? "options" : /^Consistency:/ ? "modes" : ""
    next
}
file == 1 && part == "options" && /^  [a-z]/ {
    left = $1
    sub(/^ *[^ ]* */, "")
    if ($0 != "")
        option(left, $0)
    next
}
file == 1 && part == "options" {
    sub(/^ */, "")
    option(left, $0)
}
file == 1 && part == "modes" {
    left = $1
    sub(/^ *[^ ]* */, "")
    add("@MAN_MODES@", ".TP\n.B " troff(left) "\n" troff($0))
}

# fs/store/check.def: CHECK_CLASS(NAME, "word", KIND, "about")
file == 2 && /^CHECK_CLASS/ {
    split($0, parts, "\"")
    kind = parts[3]
    gsub(/[^A-Z_]/, "", kind)
    add("@MAN_" kind "S@", ".TP\n.B " troff(parts[2]) "\n" troff(parts[4]))
}

# TEMPLATE
file == 3 {
    if ($0 in sections) {
        printf "%s", sections[$0]
        next
    }
    gsub(/@VERSION@/, version)
    gsub(/@DATE@/, date)
    print
}
