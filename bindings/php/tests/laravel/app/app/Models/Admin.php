<?php

namespace App\Models;

class Admin extends \Illuminate\Foundation\Auth\User
{
    public $timestamps = false;
    protected $guarded = [];
}
