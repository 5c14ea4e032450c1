<?php

use App\Models\Admin;
use App\Models\Order;
use App\Models\User;
use Illuminate\Database\Schema\Blueprint;
use Illuminate\Support\Facades\Artisan;
use Illuminate\Support\Facades\Schema;

Artisan::command('test:seed', function () {
    touch(config('database.connections.sqlite.database'));
    foreach (['users', 'admins'] as $table) {
        Schema::create($table, function (Blueprint $table) {
            $table->increments('id');
            $table->string('name');
            $table->string('password')->default('');
            $table->string('api_token')->nullable();
            $table->integer('active')->default(1);
            $table->rememberToken();
        });
    }
    Schema::create('orders', function (Blueprint $table) {
        $table->increments('id');
        $table->integer('user_id');
    });
    User::create(['id' => 1, 'name' => 'Olga', 'api_token' => 'token-of-olga']);
    User::create(['id' => 2, 'name' => 'Bob', 'api_token' => 'token-of-bob']);
    Admin::create(['id' => 1, 'name' => 'Root']);
    Order::create(['id' => 7, 'user_id' => 1]);
    Order::create(['id' => 8, 'user_id' => 2]);
})->describe('Make the database');

Artisan::command('test:ship {order}', function (int $order) {
    event(new App\Events\OrderShipped($order, 'from artisan'));
})->describe('Broadcast an event');

Artisan::command('test:send {channel} {event} {data}', function (string $channel, string $event, string $data) {
    Illuminate\Support\Facades\Broadcast::broadcast([$channel], $event, json_decode($data, true));
})->describe('Broadcast to a channel');

Artisan::command('test:orders {user} {first} {count}', function (int $user, int $first, int $count) {
    foreach (range($first, $first + $count - 1) as $id) {
        Order::create(['id' => $id, 'user_id' => $user]);
    }
})->describe('Make orders');
