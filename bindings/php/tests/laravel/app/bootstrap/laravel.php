<?php

// Laravel 8 says deprecated things to PHP 8.2.
error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);

require_once 'Illuminate/autoload.php';
