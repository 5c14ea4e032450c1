<?php

declare(strict_types=1);

namespace Pusherc\Internal;

/**
 * A rule as Server::channel() was told it.
 *
 * @internal
 */
final class Rule
{
    /** @var list<string> names of the pattern's parameters */
    public readonly array $params;
    /** The pattern without the names of its parameters: rules with the same one cover the same names. */
    public readonly string $shape;

    /** @param array<string, ?\Pusherc\Without> $views */
    public function __construct(
        public readonly string $pattern,
        public readonly \Closure $decide,
        public readonly int $kinds,
        public readonly float $cache,
        public readonly ?string $app,
        public readonly array $views,
        public readonly ?float $presenceGrace,
        public readonly bool $replace,
    ) {
        preg_match_all('/\{(\w+)(?:\.\.\.)?\}/', $pattern, $found);
        $this->params = $found[1];
        $this->shape = preg_replace('/\{\w+/', '{', $pattern);
    }

    /** Whether both would decide about the same names of the same kind. */
    public function sharesNames(self $other): bool
    {
        $kinds = fn (self $rule) => $rule->kinds ?: \Pusherc\Constants::RULE_DEFAULT;
        return $this->app === $other->app && $this->shape === $other->shape && ($kinds($this) & $kinds($other)) !== 0;
    }
}
