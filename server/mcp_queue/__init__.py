"""Long-running tools for MCP clients: queued commands, isolated workers, durable results.

The names below are imported on first use: importing the package costs a worker next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mcp_queue import paths as paths
    from mcp_queue.answers import Answer as Answer
    from mcp_queue.calls import execute_command as execute_command
    from mcp_queue.commands.asking import Question as Question
    from mcp_queue.commands.catalog import registry as registry
    from mcp_queue.commands.classic import CommandExecutionJob as CommandExecutionJob
    from mcp_queue.commands.classic import QueueJobBase as QueueJobBase
    from mcp_queue.commands.classic import QueueJobStatus as QueueJobStatus
    from mcp_queue.commands.command import Command as Command
    from mcp_queue.commands.command import command as command
    from mcp_queue.commands.contents import Audio as Audio
    from mcp_queue.commands.contents import File as File
    from mcp_queue.commands.contents import Image as Image
    from mcp_queue.commands.contents import Link as Link
    from mcp_queue.commands.job import Job as Job
    from mcp_queue.commands.prompt import prompt as prompt
    from mcp_queue.commands.resource import resource as resource
    from mcp_queue.commands.results import ErrorResult as ErrorResult
    from mcp_queue.commands.results import SuccessResult as SuccessResult
    from mcp_queue.errors import ArtifactNotFoundError as ArtifactNotFoundError
    from mcp_queue.errors import AskTimeoutError as AskTimeoutError
    from mcp_queue.errors import CommandNotFoundError as CommandNotFoundError
    from mcp_queue.errors import InvalidAnswerError as InvalidAnswerError
    from mcp_queue.errors import InvalidContentError as InvalidContentError
    from mcp_queue.errors import InvalidJobClassError as InvalidJobClassError
    from mcp_queue.errors import InvalidJobStateError as InvalidJobStateError
    from mcp_queue.errors import InvalidParamsError as InvalidParamsError
    from mcp_queue.errors import InvalidQuestionError as InvalidQuestionError
    from mcp_queue.errors import JobAlreadyExistsError as JobAlreadyExistsError
    from mcp_queue.errors import JobNotFoundError as JobNotFoundError
    from mcp_queue.errors import JobStoppedError as JobStoppedError
    from mcp_queue.errors import ManagerMissingError as ManagerMissingError
    from mcp_queue.errors import NobodyToAskError as NobodyToAskError
    from mcp_queue.errors import PathRefusedError as PathRefusedError
    from mcp_queue.errors import PersonAloneError as PersonAloneError
    from mcp_queue.errors import QuestionNotOpenError as QuestionNotOpenError
    from mcp_queue.errors import QueueError as QueueError
    from mcp_queue.errors import QueueFullError as QueueFullError
    from mcp_queue.errors import QueueJobError as QueueJobError
    from mcp_queue.global_manager import get_global_queue_manager as get_global_queue_manager
    from mcp_queue.global_manager import init_global_queue_manager as init_global_queue_manager
    from mcp_queue.global_manager import (
        shutdown_global_queue_manager as shutdown_global_queue_manager,
    )
    from mcp_queue.jobs.record import JobRecord as JobRecord
    from mcp_queue.jobs.record import QueueJobResult as QueueJobResult
    from mcp_queue.manager import QueueManager as QueueManager
    from mcp_queue.manager.artifacts import Artifact as Artifact
    from mcp_queue.version import __version__ as __version__

_HOME = {
    "Command": "commands.command",
    "command": "commands.command",
    "registry": "commands.catalog",
    "prompt": "commands.prompt",
    "resource": "commands.resource",
    "Job": "commands.job",
    "Answer": "answers",
    "Question": "commands.asking",
    "Image": "commands.contents",
    "Audio": "commands.contents",
    "File": "commands.contents",
    "Link": "commands.contents",
    "SuccessResult": "commands.results",
    "ErrorResult": "commands.results",
    "QueueJobBase": "commands.classic",
    "QueueJobStatus": "commands.classic",
    "CommandExecutionJob": "commands.classic",
    "JobRecord": "jobs.record",
    "QueueJobResult": "jobs.record",
    "Artifact": "manager.artifacts",
    "QueueManager": "manager",
    "execute_command": "calls",
    "get_global_queue_manager": "global_manager",
    "init_global_queue_manager": "global_manager",
    "shutdown_global_queue_manager": "global_manager",
    "__version__": "version",
}
_ERRORS = (
    "QueueError",
    "QueueJobError",
    "JobNotFoundError",
    "JobAlreadyExistsError",
    "InvalidJobStateError",
    "QueueFullError",
    "CommandNotFoundError",
    "InvalidParamsError",
    "InvalidJobClassError",
    "ManagerMissingError",
    "InvalidQuestionError",
    "NobodyToAskError",
    "AskTimeoutError",
    "JobStoppedError",
    "QuestionNotOpenError",
    "PersonAloneError",
    "InvalidAnswerError",
    "ArtifactNotFoundError",
    "InvalidContentError",
    "PathRefusedError",
)
_MODULES = ("paths",)

__all__ = [*_HOME, *_ERRORS, *_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    module = name if name in _MODULES else "errors" if name in _ERRORS else _HOME.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
