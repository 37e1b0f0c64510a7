"""How the release notes are built."""

from __future__ import annotations

project = 'VirtDC Release Notes'
copyright = 'VirtDC developers'
author = 'VirtDC developers'
extensions = ['openstackdocstheme', 'reno.sphinxext']
root_doc = 'index'
html_theme = 'openstackdocs'
html_theme_options = {'analytics_tracking_code': ''}
# The version is that of each note.
version = release = ''
openstackdocs_auto_name = False
openstackdocs_auto_version = False
