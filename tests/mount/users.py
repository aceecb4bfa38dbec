# SPDX-License-Identifier: Apache-2.0
"""What another user may do: calls made by a child process that gave up being root."""
import os
import pickle


def as_user(user, call, *arguments, group=None, groups=(), **named):
    """The result of call(*arguments) made as `user`; raises the OSError that it raised there."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups(list(groups))
            os.setresgid(*[user if group is None else group] * 3)
            os.setresuid(*[user] * 3)
            answer = None, call(*arguments, **named)
        except OSError as error:
            answer = error.errno, None
        except BaseException as error:  # pylint: disable=broad-except  # a child must not run on as a second pytest
            answer = 0, repr(error)
        os.write(writer, pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as replies:
        number, result = pickle.loads(replies.read())
    os.waitpid(child, 0)
    if number:
        raise OSError(number, os.strerror(number), str(arguments))
    assert number is None, result
    return result
