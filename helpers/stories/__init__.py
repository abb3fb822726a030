"""Analysts' stories as MISP events, and MISP events as stories."""

from helpers.stories.misp_event import STORY, StoryInMisp, extends, is_story, proposals_in, read_event
from helpers.stories.misp_writer import HOLDS, KeyOwner, MispWriter
from helpers.stories.share_outcome import ShareOptions, ShareOutcome
from helpers.stories.share_story import StoryShare
from helpers.stories.story import NewsItem, ParsedStory, Story, as_json, read_story

__all__ = [
    "HOLDS",
    "STORY",
    "KeyOwner",
    "MispWriter",
    "NewsItem",
    "ParsedStory",
    "ShareOptions",
    "ShareOutcome",
    "Story",
    "StoryInMisp",
    "StoryShare",
    "as_json",
    "extends",
    "is_story",
    "proposals_in",
    "read_event",
    "read_story",
]
