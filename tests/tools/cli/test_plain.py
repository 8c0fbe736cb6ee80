"""`workkit top --plain`: commands line by line, and what has begun or ended in between."""

from __future__ import annotations

import pytest

from tests.tools.cli.shell import Shell

pytestmark = pytest.mark.one_server


def said(shell: Shell, *lines: str, options: tuple[str, ...] = ()) -> list[str]:
    """Return what comes after the greeting, with errors."""
    typed = "".join(f"{line}\n" for line in lines)
    result = shell.run("top", "--plain", *options, stdin=typed)
    _, _, rest = result.output.partition("quit ends.\n")
    return rest.replace("workkit> ", "").splitlines()


def test_each_line_is_a_command_on_the_namespace_of_the_console(shell: Shell) -> None:
    told = said(shell, """enqueue mail '{"to": "a b"}'""", "workkit jobs queued mail", "quit")
    (queued,) = shell.client.queued_jobs("mail").jobs
    assert queued.job.args == {"to": "a b"}
    assert told[0] == f"enqueued mail {queued.job.id}"
    assert any(queued.job.id in line for line in told[1:])


def test_what_begins_or_ends_to_need_attention_is_said_once(shell: Shell) -> None:
    told = said(shell, "enqueue mail", "enqueue mail --help", "delete --queue mail --all --yes")
    new = [line for line in told if line.startswith(("new: ", "over: "))]
    assert "new: no pool is alive, and jobs are waiting" in new
    assert "over: no pool is alive, and jobs are waiting" in new
    assert len(new) == len(set(new))


def test_a_trouble_that_goes_on_is_not_said_again_when_its_numbers_change(shell: Shell) -> None:
    told = said(
        shell, *["enqueue mail"] * 3, *["enqueue letter --count 2"] * 2,
        "delete --all --queue mail --yes",
    )  # fmt: skip
    lines = [line for line in told if line.startswith(("new: ", "over: "))]
    assert [line.partition(", oldest")[0] for line in lines] == [
        "new: no pool is alive, and jobs are waiting",
        "new: queue mail: no live worker takes its 1 job",
        "new: queue letter: no live worker takes its 2 jobs",
        "over: queue mail: no live worker takes its 3 jobs",
    ]


def test_an_empty_line_shows_the_overview_and_the_end_of_the_input_ends(shell: Shell) -> None:
    assert sum("0 queued" in line for line in said(shell, "", "")) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("qeues", "Did you mean 'queues'"),
        ("jobs queued", "missing argument"),
        ("jobs dead --filter fails:x", "workkit: "),
        ("enqueue 'mail", "No closing quotation; write quotes in pairs"),
        ("top", "you are in workkit top"),
        ("jobs find nothing", "no job"),
    ],
)
def test_a_mistake_is_explained_and_the_next_line_is_read(
    shell: Shell, line: str, message: str
) -> None:
    shell.enqueuer.enqueue("mail")
    told = "\n".join(said(shell, line, "queues --json"))
    assert message.lower() in told.lower()
    assert '"job_name":"mail"' in told.replace(" ", "")
    assert "Traceback" not in told


@pytest.mark.parametrize(
    "line",
    [
        "enqueue mail", "pause mail", "retry --all", "delete --queue mail --all", "undo abc",
        "edit abc", "doctor --repair", "doctor --rep", "worker shop:tasks", "a-new-command",
    ],
)  # fmt: skip
def test_read_only_refuses_what_may_change_something(shell: Shell, line: str) -> None:
    told = said(shell, line, "queues", options=("--read-only",))
    assert "--read-only refuses" in told[0]
    assert shell.client.queues() == []


def test_read_only_reads(shell: Shell) -> None:
    told = said(shell, "doctor", "pools", "help queues", options=("--read-only",))
    assert not any("refuses" in line for line in told)
    assert any(line.startswith("Usage: workkit queues") for line in told)


@pytest.mark.parametrize("option", ["--serve", "--snapshot=pyproject.toml"])
def test_it_is_refused_with_what_is_no_server(shell: Shell, option: str) -> None:
    assert "--plain works on a server" in shell.complaint("top", "--plain", option, code=2)
