"""
Runs commands of the original one after the other in one interpreter, which takes seconds to start
in an emulated machine. Reads a JSON list of command lines, writes one of their exit statuses and of
what each printed: a value, where it is a Python literal.
"""
import ast
import contextlib
import io
import json
import runpy
import sys


def run(line):
    status = 0
    sys.argv = line
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            runpy.run_path(line[0], run_name='__main__')
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    text = output.getvalue()
    try:
        return {'status': status, 'printed': ast.literal_eval(text)}
    except (SyntaxError, ValueError):
        return {'status': status, 'printed': text}


print(json.dumps([run(line) for line in json.load(sys.stdin)]))
