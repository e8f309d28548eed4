"""What a run is told: the configuration of one that makes samples, or of one that writes caption pairs."""

from conf.pairs import PairsConfig
from conf.schema import Config

Settings = Config | PairsConfig
