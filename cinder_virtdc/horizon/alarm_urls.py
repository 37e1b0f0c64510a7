"""The address of the panel of alarms."""

from __future__ import annotations

from django.urls import re_path

from cinder_virtdc.horizon import views

urlpatterns = [re_path('^$', views.AlarmsView.as_view(), name='index')]
