"""What the object files of an archive of ours say about calls. Its members are named FOLDER_FILE.c.o."""
import collections
import re
import subprocess


def calls(archive):
    """{file: sorted [(other file, symbol)]}: what each file of the archive uses of the others."""
    lines = subprocess.run(["nm", "-A", "-P", archive], check=True, capture_output=True, text=True).stdout
    home, wanted = {}, collections.defaultdict(set)
    for line in lines.splitlines():
        member, symbol, kind = re.match(r".*\[(.*)\.o\]: (\S+) (\S)", line).groups()
        file = member.replace("_", "/", 1)
        if kind == "U":
            wanted[file].add(symbol)
        elif kind.isupper():
            home[symbol] = file
    return {file: sorted((home[symbol], symbol) for symbol in wanted[file]
                         if home.get(symbol, file) != file)
            for file in sorted(set(home.values()) | set(wanted))}
