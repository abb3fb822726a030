"""Analysts' stories as MISP events, and MISP events as stories."""

from helpers.stories.misp_event import STORY, Event, Held, extends, is_story, proposals_in, read_event
from helpers.stories.misp_writer import HOLDS, Me, MispWriter
from helpers.stories.share_story import OneStory, Outcome, Terms
from helpers.stories.story import NewsItem, Read, Story, as_json, read

__all__ = [
    "HOLDS",
    "STORY",
    "Event",
    "Held",
    "Me",
    "MispWriter",
    "NewsItem",
    "OneStory",
    "Outcome",
    "Read",
    "Story",
    "Terms",
    "as_json",
    "extends",
    "is_story",
    "proposals_in",
    "read",
    "read_event",
]
