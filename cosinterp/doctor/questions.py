"""All that is asked, in the order in which it is told."""

from __future__ import annotations

from cosinterp.doctor import cluster, disk, gpus, hub, jobs, machine, packages, terminal, video
from cosinterp.doctor.asking import Question

SOFTWARE, DEVICES, MACHINE, DISK, TERMINAL, MODELS, JOBS = GROUPS = (
    "software",
    "devices",
    "machine",
    "disk",
    "terminal",
    "models",
    "jobs",
)

QUESTIONS: tuple[Question, ...] = (
    Question(name="python", group=SOFTWARE, ask=packages.python, needed=True),
    Question(name="packages", group=SOFTWARE, ask=packages.packages, needed=True),
    Question(name="hdf5", group=SOFTWARE, ask=packages.hdf5, needed=True),
    Question(name="ffmpeg", group=SOFTWARE, ask=video.ffmpeg),
    # A driver that is not kept loaded initialises each GPU first, for a second or more.
    Question(name="gpus", group=DEVICES, ask=gpus.nvml, limit=30),
    # The first start of torch on a machine reads gigabytes of libraries.
    Question(name="torch", group=DEVICES, ask=gpus.torch, limit=90, needed=True),
    Question(name="memory", group=MACHINE, ask=machine.memory),
    Question(name="cores", group=MACHINE, ask=machine.cores),
    Question(name="/dev/shm", group=MACHINE, ask=machine.shared_memory),
    Question(name="open files", group=MACHINE, ask=machine.open_files),
    Question(name="encoding", group=MACHINE, ask=machine.encoding),
    Question(name="folder", group=DISK, ask=disk.folder, needed=True),
    Question(name="write speed", group=DISK, ask=disk.write_speed, alone=True),
    Question(name="terminal", group=TERMINAL, ask=terminal.terminal),
    Question(name="tmux", group=TERMINAL, ask=terminal.tmux),
    Question(name="hub cache", group=MODELS, ask=hub.cache),
    Question(name="hub cache size", group=MODELS, ask=hub.cache_size, limit=20),
    Question(name="hub access", group=MODELS, ask=hub.access),
    Question(name="job folders", group=JOBS, ask=jobs.folder, needed=True),
    Question(name="ray", group=JOBS, ask=cluster.ray),
)
