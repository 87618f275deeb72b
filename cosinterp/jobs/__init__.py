"""Jobs: commands that outlive the terminal that they were started from.

A job is a ``cosinterp`` command line, as words, in a folder of its own under ``$COSINTERP_HOME/jobs``. Two
processes belong to it: the *worker* is the very command, and the *keeper* (`cosinterp.jobs.keeper`) starts
it, writes down how it goes, and stays to say how it ended, which no process can say of itself. There is no
daemon, and nothing listens: what is known of a job is in its folder, readable with nothing of this running.

    job = submit(JobSpec.of("trace", model="maze-wan", dataset="mazes", store="runs", seeds="0-3"))
    job.wait()

A job's folder:

    spec.json       what was asked for (`cosinterp.jobs.spec`)
    now.json        what is so now, 4 KB rewritten in place; who holds its lock holds the job (`.record`)
    events.jsonl    what happened, a line each (`.events`)
    log.txt         what the command printed

Nothing here imports torch, or the command line at module level.
"""
