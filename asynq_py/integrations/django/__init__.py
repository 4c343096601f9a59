"""A backend for Django's Tasks, and its worker as a management command. It belongs into INSTALLED_APPS."""
