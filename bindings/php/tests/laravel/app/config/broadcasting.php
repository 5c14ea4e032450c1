<?php

// The connection "pusherc" is the package's.
return ['default' => env('BROADCAST_CONNECTION', 'pusherc'), 'connections' => ['log' => ['driver' => 'log']]];
