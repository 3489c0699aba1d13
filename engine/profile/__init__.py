"""Profiles: TOML files of settings, checked by a schema that also feeds help, documentation and the editor."""

from engine.profile.fields import FieldInfo, environment_fields
from engine.profile.profile import Profile
from engine.profile.reading import shipped as shipped_profiles

__all__ = ["FieldInfo", "Profile", "environment_fields", "shipped_profiles"]
