"""Where the numbers of charts come from: a module a kind of result, each with ``views(dataset)``.

They are those of the kind's figures. Modules are imported when a result of theirs is looked at.
"""
