<?php

declare(strict_types=1);

namespace Pusherc\Laravel;

use Illuminate\Http\Request;

/** The request that channels are asked with in pusherc:serve: Broadcaster::auth() answers it with a Grant. @internal */
final class Question extends Request
{
}
