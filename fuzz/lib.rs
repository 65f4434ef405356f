//! Empty: the fuzz targets are programs beside it.
