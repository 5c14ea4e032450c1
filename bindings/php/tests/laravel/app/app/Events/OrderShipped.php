<?php

namespace App\Events;

use Illuminate\Broadcasting\Channel;
use Illuminate\Broadcasting\InteractsWithSockets;
use Illuminate\Broadcasting\PrivateChannel;
use Illuminate\Contracts\Broadcasting\ShouldBroadcast;

class OrderShipped implements ShouldBroadcast
{
    use InteractsWithSockets;

    public function __construct(public int $order, public string $note = '')
    {
    }

    public function broadcastOn()
    {
        return [new PrivateChannel("orders.$this->order"), new Channel('shop')];
    }
}
