"""The measures of workkit itself, one a module, each with one public function `measure`."""
