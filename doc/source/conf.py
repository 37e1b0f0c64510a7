"""How the documentation is built."""

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parents[1] / 'ext'))

project = 'VirtDC'
copyright = 'VirtDC developers'
author = 'VirtDC developers'
extensions = [
    'cliff.sphinxext',
    'contract_reference',
    'metrics',
    'openstackdocstheme',
    'oslo_config.sphinxext',
    'sphinxcontrib.autoprogram',
    'sequence_diagram',
    'support_matrix',
]
root_doc = 'index'
exclude_patterns = []
highlight_language = 'console'
pygments_style = 'native'
html_theme = 'openstackdocs'
html_static_path = ['_static']
html_css_files = ['virtdc.css']
html_theme_options = {
    'analytics_tracking_code': '',
    'display_badge': False,
    'sidebar_search': True,
    'root_title': 'VirtDC',
}
# This is not one of OpenStack's repositories.
openstackdocs_auto_name = False
openstackdocs_auto_version = False
version = release = ''

man_pages = [
    (f'cli/{name}', name, title, author, 1)
    for name, title in (
        ('virtdc-agent', 'execute volume events on storage'),
        ('virtdc-manage', "manage the journal of a data centre's agents"),
        ('cinder-virtdc-listener', 'show events of a data centre in Cinder'),
        ('cinder-virtdc-manage', 'decide about alarms, compare both sides'),
        ('virtdc-status', "check an upgrade of a data centre's agent"),
        ('cinder-virtdc-status', "check an upgrade of the cloud's side"),
    )
]
