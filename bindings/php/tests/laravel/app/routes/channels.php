<?php

use App\Broadcasting\RoomChannel;
use App\Events\OrderShipped;
use App\Models\Admin;
use App\Models\Order;
use App\Models\User;
use Illuminate\Support\Facades\Broadcast;
use Illuminate\Support\Facades\Gate;
use Pusherc\Grant;
use Pusherc\Without;

Broadcast::channel('App.Models.User.{id}', fn (User $user, $id) => (int) $user->id === (int) $id);
Broadcast::channel('orders.{order}', fn (User $user, Order $order) => $order->user_id === $user->id);
Broadcast::channel('office.{id}', fn (User $user, string $id) => ['name' => $user->name, 'office' => $id]);
Broadcast::channel('yes', fn () => true);
Broadcast::channel('bench.{n}', fn () => true);
Broadcast::channel('no', fn () => false);
Broadcast::channel('room.{room}', RoomChannel::class);

// registration order, null and false
Broadcast::channel('first.{a}', fn () => null);
Broadcast::channel('first.{b}', fn (User $user, $b) => $b === 'x');
Broadcast::channel('first.y', fn () => true);
Broadcast::channel('two.{a}.{b}', fn (User $user, $a, $b) => ['a' => $a, 'b' => $b]);
Broadcast::channel('re(d|ad).{what}', fn (User $user, $what) => true);

// guards
Broadcast::channel('admins', fn (Admin $admin) => ['name' => $admin->name], ['guards' => ['admin']]);
Broadcast::channel('either', fn ($who) => ['class' => class_basename($who), 'name' => $who->name], ['guards' => ['admin', 'api', 'web']]);

// what the function finds
Broadcast::channel('helpers', fn (User $user) => auth()->id() === $user->id && request()->user()->id === $user->id
    && Gate::allows('anything') && request()->channel_name === 'private-helpers');
Broadcast::channel('fresh', fn (User $user) => (bool) $user->active);

Broadcast::channel('tells.{order}', fn (User $user, $order) => event(new OrderShipped((int) $order, 'from a channel')) !== false);

// what goes wrong
Broadcast::channel('throws', fn () => throw new LogicException('a secret of the application'));
Broadcast::channel('forbids', fn () => abort(403, 'Not for you'));
Broadcast::channel('missing', fn () => Order::findOrFail(99));
Broadcast::channel('exits', fn () => exit(7));
Broadcast::channel('dumps', fn (User $user) => dd('dumped'));
Broadcast::channel('broken', fn (User $user) => undefined_function());

// audiences
Broadcast::channel('tickets.{id}', fn (User $user) => new Grant($user->id === 1 ? 'agent' : 'customer', ['name' => $user->name]),
    ['views' => ['agent' => null, 'customer' => new Without('note', '/customer/email')]]);
