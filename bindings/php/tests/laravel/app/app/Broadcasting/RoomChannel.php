<?php

namespace App\Broadcasting;

use App\Models\User;

class RoomChannel
{
    public function join(User $user, string $room): array|bool
    {
        return $user->id === 1 || $room === 'lobby' ? ['name' => $user->name, 'room' => $room] : false;
    }
}
