<?php

return [
    'defaults' => ['guard' => 'web', 'passwords' => 'users'],
    'guards' => [
        'web' => ['driver' => 'session', 'provider' => 'users'],
        'admin' => ['driver' => 'session', 'provider' => 'admins'],
        'api' => ['driver' => 'token', 'provider' => 'users', 'hash' => false],
    ],
    'providers' => [
        'users' => ['driver' => 'eloquent', 'model' => App\Models\User::class],
        'admins' => ['driver' => 'eloquent', 'model' => App\Models\Admin::class],
    ],
];
