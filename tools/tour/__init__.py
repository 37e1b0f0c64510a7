"""The demonstration: a real cloud, from nothing, doing the main job.

``tools/demo`` runs it. ``cloud`` asks the cloud as a user would, ``screen``
shows, ``scenes`` tells the story.
"""
