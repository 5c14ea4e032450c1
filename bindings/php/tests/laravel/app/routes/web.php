<?php

use App\Events\OrderShipped;
use App\Models\User;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Auth;
use Illuminate\Support\Facades\Broadcast;
use Illuminate\Support\Facades\Route;

Route::get('/', fn () => 'up');
Route::get('/login/{id}', function (Request $request, int $id) {
    Auth::guard($request->query('guard', 'web'))->loginUsingId($id, $request->boolean('remember'));
    return 'logged in';
});
Route::get('/logout', function () {
    Auth::logout();
    return 'logged out';
});
Route::get('/whoami', fn () => Auth::user()->name ?? 'nobody');
Route::get('/flash', fn () => redirect('/flashed')->with('status', 'saved'));
Route::get('/flashed', fn (Request $request) => (string) $request->session()->get('status'));
Route::get('/previous', fn () => url()->previous());
Route::get('/ship/{order}', function (Request $request, int $order) {
    $event = new OrderShipped($order, 'from FPM');
    $event->socket = $request->header('X-Socket-ID');
    event($event);
    return 'shipped';
});
Route::get('/active/{id}/{active}', function (int $id, int $active) {
    User::whereKey($id)->update(['active' => $active]);
    return 'done';
});
Route::get('/reauthorize/{id}', function (Request $request, int $id) {
    Broadcast::connection()->reauthorize($request->query('all') ? null : User::find($id), $request->query('channel'), $request->query('guard'));
    return 'told';
});
Route::get('/disconnect/{id}', function (Request $request, int $id) {
    Broadcast::connection()->disconnect($id, 'logged out', guard: $request->query('guard'));
    return 'told';
});
Route::get('/page', fn () => '<!doctype html><title>test</title><script src="/pusher.js"></script>');
Route::get('/pusher.js', fn () => response(file_get_contents(env('PUSHER_JS')), 200, ['Content-Type' => 'text/javascript']));
